"""A second model beside the one that serves: what is compared, skipped, counted and told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumer.contracts.choices import FoundBy, ShadowFate
from consumer.contracts.messages import Entity, TaggedArticle
from consumer.shadow.child import ShadowFailed
from consumer.shadow.process import Answers, Call
from consumer.shadow.queue import ShadowQueue
from consumer.shadow.sample import Sample
from consumer.shadow.shadow import Shadow
from tests.support.fakes import PATIENCE_S, ManualClock, eventually, prepared, tagged, untagged


class FakeModel:
    """Answers what it is told to.

    Attributes:
        answer: of each article; `None` is one that it cannot tag.
        failure: raised in the place of an answer.
        gate: while it is cleared, `ask` waits.
    """

    def __init__(self) -> None:
        self.answer: tuple[Entity, ...] | None = ()
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[Call] = []
        self.is_closed = False

    def ask(self, call: Call) -> Answers:
        self.asked.append(call)
        assert self.gate.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        return [self.answer for _ in call]

    def kill(self) -> None:
        self.failure = ShadowFailed("it was ended")
        self.gate.set()

    def close(self) -> None:
        self.is_closed = True


class Rig:
    def __init__(self, share: float = 1.0, examples: int = 2, batch_tokens: int = 10) -> None:
        self.clock = ManualClock()
        self.model = FakeModel()
        self.articles: Counter[ShadowFate] = Counter()
        self.entities: dict[FoundBy, Counter[str]] = {one: Counter() for one in FoundBy}
        self.running: list[bool] = []
        self.queue = ShadowQueue()
        self.shadow = Shadow(
            self.model,
            Sample(share),
            self,
            batch_tokens=batch_tokens,
            batch_articles=batch_tokens // 2,
            examples=examples,
            queue=self.queue,
            clock=self.clock,
        )

    def shadow_articles(self, fate: ShadowFate, articles: int) -> None:
        self.articles[fate] += articles

    def shadow_entities(self, found_by: FoundBy, by_type: Mapping[str, int]) -> None:
        self.entities[found_by].update(by_type)

    def shadow_running(self, running: bool) -> None:
        self.running.append(running)

    def offer(self, *outcomes: Any, more_waits: bool = False) -> None:
        """The outcomes of a batch."""
        self.shadow.offer(outcomes, more_waits)

    def ended(self, articles: int) -> None:
        eventually(lambda: self.articles.total() == articles, f"{articles} articles")


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.shadow.start()
    yield made
    made.shadow.close()
    assert made.model.is_closed


def entity(type_: str, start: int, end: int) -> Entity:
    return Entity("title", type_, "x" * (end - start), start, end, 0.5)


def article(offset: int, *entities: Entity) -> TaggedArticle:
    return tagged(offset)._replace(entities=entities)


def test_agreement_is_counted_by_type(rig: Rig) -> None:
    same, other = entity("PER", 0, 3), entity("LOC", 10, 12)
    rig.model.answer = (same, entity("ORG", 5, 9), entity("MISC", 20, 22))
    rig.offer(article(0, same, entity("PER", 6, 8), other))
    rig.ended(1)
    assert rig.articles == {ShadowFate.COMPARED: 1}
    assert rig.entities == {
        FoundBy.BOTH: {"PER": 1},
        FoundBy.SERVING: {"PER": 1, "LOC": 1},
        FoundBy.SHADOW: {"ORG": 1, "MISC": 1},
    }
    assert rig.running == [True]


def test_only_what_a_model_read_is_compared(rig: Rig) -> None:
    rig.offer(untagged(0), article(1))
    rig.ended(1)
    assert rig.model.asked == [[prepared(1).article.fields]]


def test_what_is_not_in_the_sample_is_not_offered() -> None:
    rig = Rig(share=0.0)
    rig.shadow.start()
    rig.offer(article(0))
    rig.shadow.close()
    assert not rig.articles
    assert not rig.model.asked


@pytest.mark.parametrize("load", ["waiting", "articles", "tokens"])
def test_it_gives_way_to_load(rig: Rig, load: str) -> None:
    outcomes: Sequence[Any] = [article(0)]
    if load == "articles":
        outcomes = [article(0), *(untagged(n) for n in range(1, 5))]
    elif load == "tokens":
        outcomes = [article(0)._replace(tokens=10)]
    rig.offer(*outcomes, more_waits=load == "waiting")
    assert rig.articles == {ShadowFate.WORKER_BUSY: 1}
    assert not rig.model.asked


def test_nothing_waits_for_it(rig: Rig) -> None:
    rig.model.gate.clear()
    rig.offer(article(0))
    eventually(lambda: rig.model.asked, "it is asked")
    rig.offer(article(1), article(2))
    assert rig.articles == {ShadowFate.SHADOW_BEHIND: 2}
    rig.model.gate.set()
    rig.ended(3)
    assert rig.articles[ShadowFate.COMPARED] == 1


def test_an_article_that_it_cannot_tag_is_counted(rig: Rig) -> None:
    rig.model.answer = None
    rig.offer(article(0, entity("PER", 0, 3)))
    rig.ended(1)
    assert rig.articles == {ShadowFate.REFUSED: 1}
    assert not any(rig.entities.values())


@pytest.mark.parametrize("failure", [ShadowFailed("signal 9"), ValueError("odd")])
def test_its_failure_is_counted_and_told_once(failure: Exception) -> None:
    rig = Rig(batch_tokens=100)
    rig.model.failure = failure
    with capture_logs() as lines:
        rig.shadow.start()
        rig.offer(*map(article, range(20)))
        rig.ended(20)
        eventually(lambda: rig.running == [True, False], "it is told to have stopped")
        eventually(lambda: lines, "it is logged")
        rig.offer(article(20), article(21))
        rig.shadow.close()
    assert rig.articles == {ShadowFate.FAILED: 22}
    (line,) = lines
    assert line["log_level"] == "error"
    assert str(failure) in line["error"]
    assert len(rig.model.asked) == 1


def test_closing_does_not_wait_for_an_answer_and_is_no_failure() -> None:
    rig = Rig()
    rig.model.gate.clear()
    with capture_logs() as lines:
        rig.shadow.start()
        rig.offer(article(0))
        eventually(lambda: rig.model.asked, "it is asked")
        rig.shadow.close()
    assert not lines
    assert rig.running == [True]


def test_one_that_never_began_can_be_closed() -> None:
    rig = Rig()
    rig.shadow.close()
    assert rig.model.is_closed


def test_differences_are_told_at_a_bounded_rate() -> None:
    rig = Rig(examples=2)
    rig.model.answer = (Entity("title", "ORG", "y" * 100, 20, 120, 0.25),)
    with capture_logs() as lines:
        rig.shadow.start()
        for number in range(3):
            eventually(lambda: rig.queue.is_free, "it has nothing to do")
            rig.offer(article(number, entity("PER", 0, 3)))
            rig.ended(number + 1)
        eventually(lambda: len(lines) == 2, "two are told")
        rig.clock.advance(60)
        eventually(lambda: rig.queue.is_free, "it has nothing to do")
        assert len(lines) == 2
        rig.offer(article(3, entity("PER", 0, 3)))
        eventually(lambda: len(lines) == 4, "and two more in the next minute")
        rig.shadow.close()
    assert [line["passed_over"] for line in lines] == [0, 0, 4, 0]
    first, second = lines[:2]
    assert (first["article"], first["position"]) == ("id-0", "articles/0/0")
    assert first["serving"] == {
        "field": "title",
        "type": "PER",
        "text": "xxx",
        "start": 0,
        "end": 3,
        "score": 0.5,
    }
    assert first["shadow"] is None
    assert second["serving"] is None
    assert second["shadow"]["text"] == "y" * 80 + "…"


def test_no_example_is_told_where_none_is_wanted() -> None:
    rig = Rig(examples=0)
    with capture_logs() as lines:
        rig.shadow.start()
        rig.offer(article(0, entity("PER", 0, 3)))
        rig.ended(1)
        rig.shadow.close()
    assert not lines
