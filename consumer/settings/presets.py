"""Settings for messages of a known kind, by name: where each has its id and its texts.

A preset is nothing but a set of settings, which anyone could give; what is given wins.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from consumer.contracts.choices import NoText, Preset
from consumer.settings.ninjs import FORMATS, KINDS

#: What is read of a news object, by format.
_NINJS = {
    text_format: tuple(f"ninjs(@, '{kind}', '{text_format}')" for kind in KINDS)
    for text_format in FORMATS
}

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    Preset.NONE: {},
    # IPTC's ninjs, versions 1.x, 2.x and 3.x alike.
    Preset.NINJS: {
        "text_fields": tuple(itertools.chain(*zip(*_NINJS.values(), strict=True))),
        "text_format": tuple(f"{path}=html" for path in _NINJS["html"]),
        "language_field": "language",
        # Its schemas ask for a `uri`; drafts and extensions come without one.
        "id_field": "",
        # Pictures, videos and events are messages of this kind too.
        "no_text": NoText.PASS,
    },
    # schema.org's NewsArticle, as JSON-LD.
    Preset.NEWSARTICLE: {
        "text_fields": ("headline", "alternativeHeadline", "description", "articleBody"),
        "id_field": '"@id" || url || identifier',
        "language_field": "inLanguage",
    },
    # CloudEvents in structured mode; what `data` holds is the publisher's own.
    Preset.CLOUDEVENTS: {
        "text_fields": (
            "data.headline || data.title",
            "data.description || data.summary",
            "data.body || data.text || data.articleBody",
        ),
        "id_field": "id",
    },
}


def preset_values(preset: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, with what is given in their place."""
    values = dict(PRESETS[preset])
    if "text_fields" in given:
        # The formats are those of the preset's own fields.
        values.pop("text_format", None)
    return {**values, **given}
