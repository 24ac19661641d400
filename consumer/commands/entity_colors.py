"""Text with its entities in colour, for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from consumer.contracts.safe_text import safe_characters
from consumer.contracts.type_colors import TypeColor, color_of

#: Dark text on light ground is readable on either kind of terminal.
STYLES: Mapping[TypeColor, str] = {
    TypeColor.CYAN: "black on bright_cyan",
    TypeColor.YELLOW: "black on bright_yellow",
    TypeColor.GREEN: "black on bright_green",
    TypeColor.MAGENTA: "black on bright_magenta",
    TypeColor.BLUE: "black on bright_blue",
    TypeColor.SILVER: "black on bright_white",
    TypeColor.FOREST: "white on dark_green",
}


def style_of(entity_type: str) -> str:
    """The rich style of an entity type."""
    return STYLES[color_of(entity_type)]


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
