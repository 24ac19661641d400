"""Refusals: letters that cannot be sent, by what stands in their way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from consumer.dead_letters.routes import Obstacle

#: Obstacles that are named; letters of others are counted.
_NAMED = 20


@dataclass(slots=True)
class Refused:
    """Letters that one thing stands in the way of.

    Attributes:
        letters: how many.
        first: partition and offset, in the dead-letter topic, of the first of them.
    """

    letters: int
    first: tuple[int, int]


class Refusals:
    """Attributes:
    by_code: how many letters.
    named: by obstacle, the first twenty in the order in which they came.
    """

    def __init__(self) -> None:
        self.by_code: Counter[str] = Counter()
        self.named: dict[Obstacle, Refused] = {}

    def add(self, obstacle: Obstacle, first: tuple[int, int], letters: int = 1) -> None:
        """So many more letters.

        Args:
            first: partition and offset of the first of them.
        """
        self.by_code[str(obstacle.code)] += letters
        known = self.named.get(obstacle)
        if known is not None:
            known.letters += letters
            known.first = min(known.first, first)
        elif len(self.named) < _NAMED:
            self.named[obstacle] = Refused(letters, first)

    @property
    def letters(self) -> int:
        """All of them."""
        return self.by_code.total()

    @property
    def unnamed(self) -> int:
        """Those whose obstacle is not named."""
        return self.letters - sum(one.letters for one in self.named.values())
