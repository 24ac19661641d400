"""Which colour an entity type has, wherever a person sees it: on a terminal and on the page."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import StrEnum


class TypeColor(StrEnum):
    """The colours that types are shown in."""

    CYAN = "cyan"
    YELLOW = "yellow"
    GREEN = "green"
    MAGENTA = "magenta"
    BLUE = "blue"
    SILVER = "silver"
    FOREST = "forest"


#: The types of CoNLL-2003.
_KNOWN: Mapping[str, TypeColor] = {
    "PER": TypeColor.CYAN,
    "ORG": TypeColor.YELLOW,
    "LOC": TypeColor.GREEN,
    "MISC": TypeColor.MAGENTA,
}
#: Other models have other types; each gets one of these, always the same.
_OTHERS = (TypeColor.BLUE, TypeColor.SILVER, TypeColor.FOREST)


def color_of(entity_type: str) -> TypeColor:
    """The colour of an entity type."""
    other = _OTHERS[zlib.crc32(entity_type.encode("utf-8", "replace")) % len(_OTHERS)]
    return _KNOWN.get(entity_type, other)
