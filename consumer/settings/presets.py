"""Settings for messages of a known kind, by name: where each has its id and its texts.

A preset is nothing but a set of settings, which anyone could give; what is given wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.contracts.choices import NoText, Preset

# Of the versions of one body a single one is read: the plain one, or else one of HTML, or else the
# first. In ninjs 2.x and 3.x they are told apart by their content type, which 3.x writes
# `contentType` and which may have a charset, and by their role where they have none; in 1.x by what
# the name ends with. An empty one is as good as none: the next is read.
_IS_PLAIN = (
    "starts_with(to_string(contenttype), 'text/plain') || "
    "starts_with(to_string(contentType), 'text/plain') || "
    "!contenttype && !contentType && "
    "role!='xhtml' && role!='html' && role!='html5' && role!='richtext'"
)
_IS_HTML = (
    "starts_with(to_string(contenttype), 'text/html') || "
    "starts_with(to_string(contentType), 'text/html') || "
    "starts_with(to_string(contenttype), 'application/xhtml+xml') || "
    "starts_with(to_string(contentType), 'application/xhtml+xml') || "
    "role=='xhtml' || role=='html' || role=='html5' || role=='richtext'"
)
# Beside a text there may be its `body_charcount`, a number.
_TEXTS = "[?type(@)=='string']"
_PLAIN_DESCRIPTION = (
    f"descriptions[?({_IS_PLAIN}) && value].value || "
    "description_text || description_main || description"
)
_PLAIN_BODY = f"bodies[?({_IS_PLAIN}) && value].value || body_text || body_main || body"


def _marked(plain: str, name: str, names: str) -> str:
    """The path of a text with mark-up, where there is none without."""
    return (
        f"!({plain}) && ((({names}[?({_IS_HTML}) && value].value | [0]) || "
        f"({names}[?value].value | [0])) || {name}_xhtml || {name}_html || {name}_richtext || "
        f"(members(@, '{name}_*'){_TEXTS} | [0]))"
    )


_MARKED_DESCRIPTION = _marked(_PLAIN_DESCRIPTION, "description", "descriptions")
_MARKED_BODY = _marked(_PLAIN_BODY, "body", "bodies")

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    Preset.NONE: {},
    # IPTC's ninjs, versions 1.x, 2.x and 3.x alike.
    Preset.NINJS: {
        "text_fields": (
            f"headlines[?value].value || headline || members(@, 'headline_*'){_TEXTS} || title",
            _PLAIN_DESCRIPTION,
            _MARKED_DESCRIPTION,
            _PLAIN_BODY,
            _MARKED_BODY,
        ),
        "text_format": (f"{_MARKED_DESCRIPTION}=html", f"{_MARKED_BODY}=html"),
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
