"""One model in several precisions: which of float32's entities each of the others keeps.

No torch here: the taggers are given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, Entity, PreparedArticle
from consumer.evaluation.articles import Tagger

#: A precision keeps a model's entities if it finds at least this share of those that float32
#: finds, and float32 at least this share of its own.
FAITHFUL_SHARE = 0.995

#: Entities that float32 must have found before anything is said of a share near that: of 1,000,
#: five may differ, and chance moves that by two.
ENOUGH_ENTITIES = 1_000

#: What identifies an entity within an article; scores differ by rounding.
EntityKey = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a precision disagrees with float32.

    Attributes:
        article: its id.
        expected: float32's entity, or None where it finds none.
        found: the other's that touches it, or None where it finds none.
    """

    article: str
    expected: Entity | None
    found: Entity | None


@dataclass(slots=True, eq=False)
class Tally:
    """What a precision found so far.

    Attributes:
        dtype: its name.
        found: its entities.
        shared: those of them that float32 finds too.
        expected: float32's entities.
        seconds: of the wall, in the tagger; without tokenising.
        differences: in the order of the articles.
    """

    dtype: str
    found: int = 0
    shared: int = 0
    expected: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    @property
    def kept(self) -> float:
        """Share of float32's entities that it finds, 0 to 1; 1 where there are none."""
        return self.shared / self.expected if self.expected else 1.0

    @property
    def confirmed(self) -> float:
        """Share of its entities that float32 finds, 0 to 1; 1 where there are none."""
        return self.shared / self.found if self.found else 1.0

    @property
    def is_faithful(self) -> bool:
        """Whether it keeps the model's entities."""
        return min(self.kept, self.confirmed) >= FAITHFUL_SHARE


class Comparison:
    """Tags the same articles in every precision, in turn, so that their rates compare as well.

    Args:
        taggers: by precision, of one model with the same options; the first is float32, the
            reference.
    """

    def __init__(self, taggers: Sequence[tuple[str, Tagger]]) -> None:
        self._taggers = [tagger for _, tagger in taggers]
        #: For each precision in the order given, the reference included.
        self.tallies = [Tally(dtype) for dtype, _ in taggers]
        #: Tokens that each of them read.
        self.tokens = 0
        #: Articles that were compared.
        self.articles = 0
        self._calls = 0

    @property
    def has_enough(self) -> bool:
        """Whether there were entities enough to say something of their share."""
        return self.tallies[0].found >= ENOUGH_ENTITIES

    def tag(self, articles: Sequence[Article]) -> list[tuple[Article, RejectedMessage]]:
        """Compare these articles. Blocks until all are tagged.

        Returns:
            Those that one of the precisions cannot tag; they count nowhere.
        """
        encodings = self._taggers[0].encode(articles)
        prepared = [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]
        answers: list[Sequence[Sequence[Entity] | RejectedMessage]] = [()] * len(self._taggers)
        for place in range(len(self._taggers)):
            # Another one begins each time, so that heat and neighbours fall on all of them.
            number = (place + self._calls) % len(self._taggers)
            begun = time.perf_counter()
            answers[number] = self._taggers[number].tag(prepared, lambda: None).answers
            self.tallies[number].seconds += time.perf_counter() - begun
        self._calls += 1
        self.tokens += sum(encoding.tokens for encoding in encodings)
        refused: list[tuple[Article, RejectedMessage]] = []
        for article, *found in zip(articles, *answers, strict=True):
            rejection = next((one for one in found if isinstance(one, RejectedMessage)), None)
            if rejection is not None:
                refused.append((article, rejection))
                continue
            self.articles += 1
            entities = [() if isinstance(one, RejectedMessage) else one for one in found]
            for tally, one in zip(self.tallies, entities, strict=True):
                _count(tally, article.id, entities[0], one)
        return refused


def _count(tally: Tally, article: str, expected: Sequence[Entity], found: Sequence[Entity]) -> None:
    agreed = agreement(article, expected, found)
    tally.expected += len({entity_key(entity) for entity in expected})
    tally.found += len({entity_key(entity) for entity in found})
    tally.shared += len(agreed.shared)
    tally.differences += agreed.differences


class Agreement(NamedTuple):
    """How far two taggers agree on an article.

    Attributes:
        shared: the entities that both found, as the first has them.
        differences: each entity that only one found, or two of them that touch.
    """

    shared: list[Entity]
    differences: list[Difference]


def agreement(article: str, expected: Sequence[Entity], found: Sequence[Entity]) -> Agreement:
    """Hold the entities of a tagger against those of the one that counts as right.

    Args:
        article: its id.
    """
    wanted = {entity_key(entity): entity for entity in expected}
    others = {entity_key(entity): entity for entity in found}
    shared = [entity for key, entity in wanted.items() if key in others]
    missed = [entity for key, entity in wanted.items() if key not in others]
    added = [entity for key, entity in others.items() if key not in wanted]
    differences = []
    for entity in missed:
        touching = next((one for one in added if _touch(entity, one)), None)
        if touching is not None:
            added.remove(touching)
        differences.append(Difference(article, entity, touching))
    differences += [Difference(article, None, entity) for entity in added]
    return Agreement(shared, differences)


def entity_key(entity: Entity) -> EntityKey:
    """Its field, type and place."""
    return (entity.field, entity.type, entity.start, entity.end)


def _touch(one: Entity, other: Entity) -> bool:
    return one.field == other.field and one.start < other.end and other.start < one.end
