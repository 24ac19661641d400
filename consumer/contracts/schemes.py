"""Tagging schemes: what the letter beside an entity's type says of a word's place in the entity.

A letter means the same in every scheme that has it, so labels can be read without the scheme's
name. Sources: Ramshaw & Marcus 1995 (IOB1), Ratnaparkhi 1998 (IOB2), Ratinov & Roth 2009 (BILOU,
BIOES with other letters), LingPipe (BMEWO).
"""

from __future__ import annotations

from enum import StrEnum

#: The label of a word that is in no entity.
OUTSIDE = "O"

#: Letters that open an entity whatever stands before it: begin, single, unit, whole.
OPENING = frozenset("BSUW")
#: Letters that stay in the open entity where there is one of their type: inside, middle, end, last.
INSIDE = frozenset("IMEL")
#: Letters after which the next word cannot be in the same entity.
CLOSING = frozenset("SUWEL")

LETTERS = OPENING | INSIDE


class Scheme(StrEnum):
    """The schemes by name; each reads those before it."""

    IO = "IO"
    IOB = "IOB"
    BIOES = "BIOES"
    BILOU = "BILOU"


def scheme_of(letters: frozenset[str]) -> Scheme:
    """The scheme that has these letters; a bare type has none and is inside."""
    if letters & frozenset("LU"):
        return Scheme.BILOU
    if letters & frozenset("ESMW"):
        return Scheme.BIOES
    return Scheme.IOB if "B" in letters else Scheme.IO
