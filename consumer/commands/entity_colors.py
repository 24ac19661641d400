"""Text with its entities in colour, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

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
    """The first `limit` characters on one line, with the entities among them in colour.

    Args:
        entities: objects as in a message: `type`, `start` and `end` in code points of `text`.
    """
    shown = Text(text[:limit])
    for entity in entities:
        if entity["start"] < limit:
            shown.stylize(style_of(entity["type"]), entity["start"], min(entity["end"], limit))
    # Replaced one for one, so that the offsets stand.
    shown.plain = "".join(" " if character in "\r\n\t" else character for character in shown.plain)
    if len(text) > limit:
        shown.append(" …", style="dim")
    return shown
