"""Text of strangers for the page, as a tree that holds nothing but text: a reader's browser is
given no mark-up to run, nothing invisible and nothing that turns the text round."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from consumer.contracts.messages import Entity, TextField
from consumer.contracts.type_colors import color_of

#: A text is a list of these: a string; `{"x": label}`, something that is named instead of shown;
#: or `{"e": type, "c": colour, "s": nodes}`, an entity.
Node: TypeAlias = "str | dict[str, object]"

#: More marks than this on one letter are no script's.
_MARKS_ON_A_LETTER = 6

#: Control and formatting characters, lone surrogates, private ones, separators of lines, and what
#: Unicode has not assigned.
_NAMED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMBINING = frozenset({"Mn", "Me", "Mc"})

#: Letters and symbols by category, and yet nothing to see.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

#: Zero-width joiners. Persian, the scripts of India and emoji need them between their characters;
#: elsewhere they hide one word in another.
_JOINERS = frozenset("\u200c\u200d")

#: What cannot need any care.
_PLAIN = re.compile(r"[ -~]*")


def excerpt(field: TextField, entities: Iterable[Entity], limit: int) -> tuple[list[Node], bool]:
    """The beginning of a field of an article, with its entities.

    Args:
        entities: any of the article's, as they are published.
        limit: code points of the text that are shown at most.

    Returns:
        The nodes, and whether the text goes on.
    """
    text, source = field.text, field.source
    places: list[tuple[int, int, str]] = []
    for entity in entities:
        if entity.field != field.name:
            continue
        start, end = entity.start, entity.end
        if source is not None:
            # Its offsets are those of the field as it came in; here they must be the text's.
            to_source = source.to_source
            start = bisect_left(range(len(text)), start, key=lambda at: to_source(at, at + 1)[0])
            end = start + len(entity.text)
        if start < limit:
            places.append((start, min(end, limit), entity.type))
    return marked(text[:limit], places), len(text) > limit


def marked(text: str, places: Sequence[tuple[int, int, str]] = ()) -> list[Node]:
    """A text with these pieces of it as entities.

    Args:
        places: start, end and type; one that begins inside another is left out.
    """
    nodes: list[Node] = []
    at = 0
    for start, end, entity_type in sorted(places):
        if start < at or end <= start:
            continue
        nodes += plain(text[at:start])
        nodes.append(
            {"e": _label(entity_type), "c": color_of(entity_type), "s": plain(text[start:end])}
        )
        at = end
    return nodes + plain(text[at:])


def plain(text: str) -> list[Node]:
    """A text in which what cannot be shown is named.

    Of several in a row that are the same, one is named with their number; marks above six on one
    letter are left out, and counted.
    """
    if not text:
        return []
    if _PLAIN.fullmatch(text):
        return [text]
    nodes: list[Node] = []
    shown: list[str] = []
    name, repeated, marks = "", 0, 0

    def flush() -> None:
        nonlocal name, repeated
        if name:
            nodes.append({"x": name if repeated == 1 else f"{name} ×{repeated:,}"})
            name, repeated = "", 0
        if shown:
            nodes.append("".join(shown))
            shown.clear()

    for at, character in enumerate(text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in _COMBINING else 0
        if marks > _MARKS_ON_A_LETTER:
            found = "combining mark"
        elif character in "\r\n\t":
            found, character = "", " "
        elif character in _BLANK or (category in _NAMED and not _joins(text, at)):
            found = f"U+{ord(character):04X}"
        else:
            found = ""
        if found != name:
            flush()
        if found:
            name, repeated = found, repeated + 1
        else:
            shown.append(character)
    flush()
    return nodes


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands between characters of a script that has joiners."""
    if text[at] not in _JOINERS or not 0 < at < len(text) - 1:
        return False
    return all(
        one > "\u02af" and unicodedata.category(one)[0] in "LMS"
        for one in (text[at - 1], text[at + 1])
    )


def _label(entity_type: str) -> str:
    """A type's name comes with the model, and so from a stranger too."""
    return "".join(node if isinstance(node, str) else "?" for node in plain(entity_type[:24]))
