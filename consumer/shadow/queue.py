"""ShadowQueue: what waits for the second model, bounded; gives way to the worker's load."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from consumer.contracts.choices import ShadowFate
from consumer.contracts.messages import Entity, Position, TextField

#: Articles that wait at most: some seconds of a small model on one core.
ARTICLES = 64

#: Characters that wait at most; an article may be ten million.
CHARACTERS = 1_048_576


class Served(NamedTuple):
    """An article that the serving model has tagged.

    Attributes:
        id: the article's.
        position: where it stands.
        fields: its texts.
        entities: what the serving model found.
    """

    id: str
    position: Position
    fields: tuple[TextField, ...]
    entities: tuple[Entity, ...]

    @property
    def characters(self) -> int:
        """Of all its texts."""
        return sum(len(field.text) for field in self.fields)


class ShadowQueue:
    """One thread offers, another takes. Neither waits for room.

    Args:
        articles, characters: bounds of what waits.
    """

    def __init__(self, articles: int = ARTICLES, characters: int = CHARACTERS) -> None:
        self._most_articles = articles
        self._most_characters = characters
        self._waiting: deque[Served] = deque()
        self._characters = 0
        self._is_taken = False
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def is_free(self) -> bool:
        """Whether it takes any: while one article waits, or is under way, the second model is
        behind. Any thread."""
        return not (self._waiting or self._is_taken or self._is_closed)

    def offer(self, served: Sequence[Served]) -> int:
        """Queue as many of these as there is room for, in their order; how many. None where it is
        not free."""
        with self._changed:
            if not self.is_free:
                return 0
            taken = 0
            for one in served:
                size = one.characters
                if taken == self._most_articles or self._characters + size > self._most_characters:
                    break
                self._waiting.append(one)
                self._characters += size
                taken += 1
            self._changed.notify_all()
            return taken

    def take(self, limit: int) -> list[Served]:
        """Take up to so many, which then are under way until the next call. Waits for the first;
        nothing comes once it is closed."""
        with self._changed:
            self._is_taken = False
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return []
            found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._characters -= sum(one.characters for one in found)
            self._is_taken = True
            return found

    def close(self) -> int:
        """Take and give nothing any more; how many were waiting."""
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
            self._characters = 0
            self._is_closed = True
            self._changed.notify_all()
            return left


def skipped(is_busy: bool) -> ShadowFate:
    """Why an article of the sample was not queued."""
    return ShadowFate.WORKER_BUSY if is_busy else ShadowFate.SHADOW_BEHIND
