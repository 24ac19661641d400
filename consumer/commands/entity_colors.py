"""Text with its entities in colour, for a terminal."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from consumer.contracts.safe_text import safe_characters

#: The types of CoNLL-2003; dark text on light ground is readable on either kind of terminal.
STYLES = {
    "PER": "black on bright_cyan",
    "ORG": "black on bright_yellow",
    "LOC": "black on bright_green",
    "MISC": "black on bright_magenta",
}
#: Other models have other types; each gets one of these, always the same.
OTHER_STYLES = ("black on bright_blue", "black on bright_white", "white on dark_green")


def style_of(entity_type: str) -> str:
    """The rich style of an entity type."""
    other = OTHER_STYLES[zlib.crc32(entity_type.encode()) % len(OTHER_STYLES)]
    return STYLES.get(entity_type, other)


def highlighted(text: str, entities: Iterable[Mapping[str, Any]], limit: int) -> Text:
    """The first `limit` characters on one line, with the entities among them in colour; those that
    could do something to a terminal are escaped.

    Args:
        entities: objects as in a message: `type`, `start` and `end` in code points of `text`.
    """
    pieces = safe_characters("".join(" " if one in "\r\n\t" else one for one in text[:limit]))
    ends = list(itertools.accumulate(map(len, pieces), initial=0))
    shown = Text("".join(pieces))
    for entity in entities:
        start, end = (min(max(entity[edge], 0), len(pieces)) for edge in ("start", "end"))
        shown.stylize(style_of(entity["type"]), ends[start], ends[end])
    if len(text) > limit:
        shown.append(" …", style="dim")
    return shown
