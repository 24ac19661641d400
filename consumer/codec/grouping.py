"""The names of an article: which of its entities are mentions of one name. Rules, no model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from consumer.contracts.messages import Entity

#: What stands between a name and its acronym in brackets is no longer than this.
_MOST_BETWEEN = 8

#: Words that an acronym may pass over: `Organization of the Petroleum ...`.
_PASSED_OVER = frozenset(
    {"and", "at", "da", "das", "de", "del", "der", "des", "di", "die", "du", "e", "en", "et", "for"}
    | {"für", "in", "la", "le", "les", "och", "of", "og", "on", "para", "per", "pour", "the", "to"}
    | {"und", "van", "voor", "y", "&"}
)

#: Gives the text of a field between two places in it, as it was tagged.
Between = Callable[[str, int, int], str]


class Name(NamedTuple):
    """A name, and where the article has it.

    Attributes:
        type: as its mentions have it.
        text: the longest of its surfaces; of several as long, one that is not all capitals, as a
            headline or a dateline has it, and then the first.
        mentions: indexes of its entities, ascending.
    """

    type: str
    text: str
    mentions: tuple[int, ...]


def group_names(
    entities: Sequence[Entity], between: Between, people: Collection[str]
) -> list[Name]:
    """The names of an article, in the order of their first mentions.

    Mentions of one type are of one name where they have the same letters, whatever their case and
    white space; where one is the last words of a longer person's name, and of that of no other
    person; and where one stands in brackets behind the other and is made of its initials.

    Args:
        entities: of one article.
        between: gives the text between two entities of one field.
        people: the types of people.
    """
    groups = _Groups(len(entities))
    first: dict[tuple[str, str], int] = {}
    for index, entity in enumerate(entities):
        groups.join(first.setdefault((entity.type, _key(entity.text)), index), index)
    _join_acronyms(entities, between, groups)
    for person in people:
        _join_surnames([key[1] for key in first if key[0] == person], person, first, groups)
    names = []
    for indexes in groups.all():
        surfaces = [_spaced(entities[index].text) for index in indexes]
        text = max(surfaces, key=lambda one: (len(one), not one.isupper()))
        names.append(Name(entities[indexes[0]].type, text, tuple(indexes)))
    return names


class _Groups:
    """Disjoint sets of numbers; each is known by its least."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def least(self, number: int) -> int:
        while self._parents[number] != number:
            # Halves the way for the next one, so that no chain of numbers grows long.
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.least(one), self.least(other)))
        self._parents[other] = one

    def all(self) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for number in range(len(self._parents)):
            groups.setdefault(self.least(number), []).append(number)
        return list(groups.values())


def _join_surnames(
    surfaces: Sequence[str], person: str, first: dict[tuple[str, str], int], groups: _Groups
) -> None:
    """`Merkel` is `Angela Merkel`, unless there is a `Max Merkel` too."""
    longer: dict[str, list[str]] = {}
    for surface in surfaces:
        words = surface.split(" ")
        for at in range(1, len(words)):
            longer.setdefault(" ".join(words[at:]), []).append(surface)
    # Longer ones first: `Gogh` is of one person with `van Gogh`, and that with `Vincent van Gogh`.
    for surface in sorted(surfaces, key=lambda one: -one.count(" ")):
        people = {groups.least(first[person, one]) for one in longer.get(surface, ())}
        if len(people) == 1:
            groups.join(first[person, surface], people.pop())


def _join_acronyms(entities: Sequence[Entity], between: Between, groups: _Groups) -> None:
    """`European Central Bank (ECB)`, and `ECB (European Central Bank)`."""
    for index in range(len(entities) - 1):
        one, two = entities[index : index + 2]
        is_near = one.field == two.field and one.type == two.type and one.end < two.start
        if is_near and (_is_acronym(two.text, one.text) or _is_acronym(one.text, two.text)):
            between_them = between(one.field, one.end, two.start)
            if len(between_them) <= _MOST_BETWEEN and between_them.strip() in ("(", "["):
                groups.join(index, index + 1)


def _is_acronym(short: str, long: str) -> bool:
    """Whether a text is made of the initials of another."""
    letters = short.replace(".", "").replace(" ", "")
    words = long.replace("-", " ").split()
    if not 2 <= len(letters) < len(long) or not letters.isupper() or len(words) < 2:
        return False
    initials = [word[0].upper() for word in words]
    strong = [word[0].upper() for word in words if word.lower() not in _PASSED_OVER]
    return letters in ("".join(initials), "".join(strong))


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _key(text: str) -> str:
    """What mentions of the same letters share."""
    return _spaced(text).casefold()
