"""The contest: every way to run one model, on the same articles, in alternating rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from consumer.contracts.errors import ModelError, RejectedMessage
from consumer.contracts.messages import Article, PreparedArticle
from consumer.evaluation.comparison import EntityKey, entity_key
from consumer.tagging.engine.engine import Answer, Engine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.tagger import Tagger, TaggingOptions

#: Seconds from some moment on: of the wall, or of all processors that this process had.
Clock = Callable[[], float]

#: An entity of one of the articles.
Found = tuple[int, EntityKey]


class TimedEngine:
    """An engine, and the seconds of a clock that were spent in it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self.pads, self.skips_unread = engine.pads, engine.skips_unread
        self.is_exact = engine.is_exact
        self.seconds = 0.0

    def run(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        """See `Engine.run`."""
        begin = self._clock()
        answer = self._engine.run(windows, is_read)
        self.seconds += self._clock() - begin
        return answer


@dataclass(slots=True, eq=False)
class Contestant:
    """One way to run the model.

    Attributes:
        name, precision: what it is.
        is_ours: whether the worker runs the model so.
        measure: seconds for all articles.
        tagger: what gives its entities, where they can be compared.
        rounds_s: seconds of each round.
        agreement: share of its entities that are float32's too, 0 to 1; None where unknown.
        f1: on labelled articles, 0 to 1.
        note: what a reader should know.
    """

    name: str
    precision: str
    is_ours: bool
    measure: Callable[[], float]
    tagger: Tagger | None = None
    rounds_s: list[float] = field(default_factory=list)
    agreement: float | None = None
    f1: float | None = None
    note: str = ""

    def tokens_per_s(self, tokens: int) -> float:
        """Of the median round."""
        return tokens / float(np.median(self.rounds_s))


def engine_contestant(
    name: str,
    precision: str,
    model: LoadedModel,
    engine: Engine,
    options: TaggingOptions,
    articles: Sequence[Article],
    clock: Clock,
    is_ours: bool = False,
) -> Contestant:
    """A contestant that runs windows of tokens; the seconds are those of the forward alone."""
    timed = TimedEngine(engine, clock)
    tagger = Tagger(model, options, timed)
    prepared = prepare(tagger, articles)

    def measure() -> float:
        timed.seconds = 0.0
        tagger.tag(prepared, lambda: None)
        return timed.seconds

    return Contestant(name, precision, is_ours, measure, tagger)


def run_rounds(
    contestants: Sequence[Contestant], rounds: int, on_progress: Callable[[str], None]
) -> None:
    """Measure all in turn, as often; the first of a round is another each time, so that heat,
    neighbours and the clock's moods fall on all of them."""
    for number in range(rounds):
        for place in range(len(contestants)):
            contestant = contestants[(place + number) % len(contestants)]
            on_progress(f"round {number + 1} of {rounds}: {contestant.name}")
            contestant.rounds_s.append(contestant.measure())


def prepare(tagger: Tagger, articles: Sequence[Article]) -> list[PreparedArticle]:
    """Articles with their tokens."""
    encodings = tagger.encode(articles)
    return [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]


def entities_of(tagger: Tagger, articles: Sequence[Article]) -> set[Found]:
    """The entities of all articles.

    Raises:
        ModelError: an article cannot be tagged.
    """
    found: set[Found] = set()
    answers = tagger.tag(prepare(tagger, articles), lambda: None).answers
    for number, answer in enumerate(answers):
        if isinstance(answer, RejectedMessage):
            raise ModelError(f"article {number + 1} cannot be tagged: {answer.message}")
        found |= {(number, entity_key(entity)) for entity in answer}
    return found


def agreement(one: set[Found], other: set[Found]) -> float:
    """Share of the entities of both that are in both (Dice), 0 to 1; 1 where there are none."""
    total = len(one) + len(other)
    return 2 * len(one & other) / total if total else 1.0
