"""TagStage: each article gets its own answer, and a broken device rejects nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import (
    Article,
    Batch,
    BatchItem,
    PreparedArticle,
    Rejected,
    TaggedArticle,
    TaggedBatch,
    TaggingResult,
    TextField,
    Tombstone,
    TopicPartition,
)
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.bookkeeping.stale import Stale
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.inbox import LetGo, PublishMessage
from consumer.pipeline.tag import TagStage
from tests.support.fakes import (
    P0,
    P1,
    PATIENCE_S,
    FakeEncoding,
    FakeTagger,
    ManualClock,
    eventually,
    raw,
    untagged,
)
from tests.support.memory.fake_observer import FakeObserver


class Rig:
    """A tag stage between two channels."""

    def __init__(self, tagger: FakeTagger | None = None) -> None:
        self.clock = ManualClock()
        self.tagger = tagger or FakeTagger()
        self.observer = FakeObserver()
        self.batches: Channel[Batch] = Channel(None)
        self.tagged: Channel[PublishMessage] = Channel(None)
        self.ownership = Ownership()
        self.ownership.add({P0: 1, P1: 1})
        self.in_flight = InFlight(1_000, 1_000_000)
        self.stage = TagStage(
            batches=self.batches,
            tagged=self.tagged,
            tagger=self.tagger,
            stale=Stale(self.ownership, self.in_flight),
            observer=self.observer,
            clock=self.clock,
        )

    def run(self, *batches: tuple[BatchItem, ...]) -> list[PublishMessage]:
        for items in batches:
            self.batches.put(Batch(items, 1, 0.0, 0.0))
        self.batches.close()
        self.stage.start(lambda: None)
        assert self.stage.join(PATIENCE_S)
        return self.tagged.get_many(100) if len(self.tagged) else []

    def came_out(self, count: int) -> None:
        eventually(lambda: len(self.tagged) == count, f"{count} batches")


def article(
    offset: int, text: str, tokens: int = 2, partition: TopicPartition = P0
) -> PreparedArticle:
    return PreparedArticle(
        Article(raw(offset, partition=partition), f"id-{offset}", (TextField("body", text),)),
        FakeEncoding(tokens),
    )


def test_answers_go_to_the_right_articles_in_order() -> None:
    items: tuple[BatchItem, ...] = (
        article(0, "Ada"),
        Rejected(raw(1), RejectCode.NO_TEXT, "no text", RejectStage.PREPARE),
        article(2, "nobody", tokens=5),
        Tombstone(raw(3)),
        article(4, "so said Grace"),
        untagged(5),
    )
    rig = Rig()
    (batch,) = rig.run(items)
    assert isinstance(batch, TaggedBatch)
    first, rejected, none, tombstone, last, picture = batch.outcomes
    assert isinstance(first, TaggedArticle)
    assert isinstance(none, TaggedArticle)
    assert isinstance(last, TaggedArticle)
    assert [entity.text for entity in first.entities] == ["Ada"]
    assert (rejected, tombstone, picture) == (items[1], items[3], items[5])
    assert (none.entities, none.tokens) == ((), 5)
    assert [entity.text for entity in last.entities] == ["Grace"]
    assert [outcome.raw.position.offset for outcome in batch.outcomes] == [0, 1, 2, 3, 4, 5]


def test_an_article_that_cannot_be_tagged_is_rejected_and_its_neighbours_are_not() -> None:
    (batch,) = Rig().run((article(0, "Ada"), article(1, "nan"), article(2, "Grace")))
    assert isinstance(batch, TaggedBatch)
    first, rejected, last = batch.outcomes
    assert rejected == Rejected(
        raw(1), RejectCode.NOT_A_NUMBER, "the model answered with NaN", RejectStage.TAG
    )
    assert isinstance(first, TaggedArticle)
    assert isinstance(last, TaggedArticle)


def test_batches_that_have_not_begun_when_it_lets_go_are_told_untagged() -> None:
    rig = Rig()
    rig.tagger.gate.clear()
    items = (article(0, "a"), Tombstone(raw(1)))
    for batch in (items, (article(2, "b"), article(3, "c")), (Tombstone(raw(4)),)):
        rig.batches.put(Batch(batch, 1, 0.0, 0.0))
    rig.batches.close()
    rig.stage.start(lambda: None)
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.stage.let_go()
    rig.tagger.gate.set()
    assert rig.stage.join(PATIENCE_S)
    begun, *rest = rig.tagged.get_many(100)
    assert isinstance(begun, TaggedBatch)
    assert [outcome.raw for outcome in begun.outcomes] == [raw(0), raw(1)]
    assert rest == [LetGo((raw(2), raw(3))), LetGo((raw(4),))]
    assert rig.tagger.batches == [["a"]]


def test_what_is_read_again_is_not_tagged_and_its_neighbours_are() -> None:
    rig = Rig()
    rig.in_flight.add(6, 0)
    rig.ownership.add({P0: 2})
    rejected = Rejected(raw(1), RejectCode.NO_TEXT, "no text", RejectStage.PREPARE)
    mixed = (article(0, "Ada"), rejected, article(5, "Grace", tokens=7, partition=P1))
    given_up, outcomes, all_given_up = rig.run(mixed, (article(2, "c"), article(3, "d")))
    assert given_up == LetGo((raw(0), raw(1)))
    assert isinstance(outcomes, TaggedBatch)
    assert [one.raw.position.offset for one in outcomes.outcomes] == [5]
    assert all_given_up == LetGo((raw(2), raw(3)))
    assert rig.tagger.batches == [["Grace"]]


def test_a_batch_without_articles_does_not_run_the_model() -> None:
    rig = Rig()
    tombstone = Tombstone(raw(0))
    assert rig.run((tombstone,)) == [TaggedBatch((tombstone,))]
    assert rig.tagger.batches == []


def test_batches_keep_their_order_and_the_end_is_passed_on() -> None:
    rig = Rig()
    outcomes = rig.run((article(0, "a"),), (article(1, "b"),), (article(2, "c"),))
    assert [
        outcome.raw.position.offset
        for batch in outcomes
        if isinstance(batch, TaggedBatch)
        for outcome in batch.outcomes
    ] == [0, 1, 2]
    assert rig.stage.failure is None
    assert [result.tokens for result in rig.observer.results] == [2, 2, 2]
    assert rig.observer.steps["tag"] == 3


def test_a_broken_device_fails_the_stage_and_rejects_nothing() -> None:
    rig = Rig()
    assert rig.run((article(0, "Ada"), article(1, "explode"))) == []
    assert isinstance(rig.stage.failure, ArithmeticError)


def test_a_tagger_that_answers_too_little_fails_the_stage() -> None:
    class Forgetful(FakeTagger):
        def tag(
            self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
        ) -> TaggingResult:
            return super().tag(articles[1:], progress)

    rig = Rig()
    rig.stage._tagger = Forgetful()
    assert rig.run((article(0, "Ada"), article(1, "Grace"))) == []
    assert rig.stage.failure is not None


def test_an_aborted_channel_ends_the_stage_without_a_word_to_the_next() -> None:
    rig = Rig()
    rig.batches.abort()
    rig.stage.start(lambda: None)
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, ChannelAborted)
    rig.tagged.put(TaggedBatch(()))  # still open: nobody may take this for a full drain


class StepwiseTagger(FakeTagger):
    """Tells what is begun and what is finished; answers when it is asked.

    Attributes:
        events: `begin` or `finish`, and the batch's first text.
        on: what to do at an event, or at `room beside` a batch.
    """

    def __init__(self, overlaps: bool) -> None:
        super().__init__()
        self.overlaps = overlaps
        self.events: list[str] = []
        self.on: dict[str, Callable[[], None]] = {}

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        name = articles[0].article.fields[0].text
        self._reach(f"begin {name}")
        self._latest = name

        def finish() -> TaggingResult:
            self._reach(f"finish {name}")
            return self.tag(articles, progress)

        return finish

    def await_room(self) -> None:
        self.on.get(f"room beside {self._latest}", lambda: None)()

    def _reach(self, event: str) -> None:
        self.events.append(event)
        self.on.get(event, lambda: None)()


def offsets(messages: Sequence[PublishMessage]) -> list[int]:
    return [
        outcome.raw.position.offset
        for message in messages
        if isinstance(message, TaggedBatch)
        for outcome in message.outcomes
    ]


ABC = (article(0, "a"),), (article(1, "b"),), (article(2, "c"),)


def test_a_waiting_batch_is_begun_before_the_one_before_is_finished() -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    tagged_at: list[int] = []
    tagger.on["begin c"] = lambda: tagged_at.append(len(rig.tagged))
    assert offsets(rig.run(*ABC)) == [0, 1, 2]
    assert tagger.events == ["begin a", "begin b", "finish a", "begin c", "finish b", "finish c"]
    assert tagged_at == [1]
    assert rig.stage.failure is None
    with pytest.raises(ChannelClosed):
        rig.tagged.get()


def test_a_batch_that_comes_before_there_is_room_is_begun_then() -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    tagger.on["room beside a"] = lambda: rig.batches.put(Batch(ABC[1], 1, 0.0, 0.0))
    tagger.on["room beside b"] = rig.batches.close
    rig.batches.put(Batch(ABC[0], 1, 0.0, 0.0))
    rig.stage.start(lambda: None)
    assert rig.stage.join(PATIENCE_S)
    assert tagger.events == ["begin a", "begin b", "finish a", "finish b"]


def test_what_has_no_room_yet_when_it_lets_go_is_not_begun() -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    tagger.on["room beside a"] = rig.stage.let_go
    told = rig.run(*ABC)
    assert tagger.events == ["begin a", "finish a"]
    assert [one for one in told if isinstance(one, LetGo)] == [LetGo((raw(1),)), LetGo((raw(2),))]
    assert offsets(told) == [0]


def test_a_tagger_that_does_not_overlap_gets_a_batch_when_the_last_was_handed_on() -> None:
    tagger = StepwiseTagger(overlaps=False)
    rig = Rig(tagger)
    waiting: list[int] = []
    for name in "abc":
        tagger.on[f"finish {name}"] = lambda: waiting.append(len(rig.batches))
    assert offsets(rig.run(*ABC)) == [0, 1, 2]
    assert tagger.events == ["begin a", "finish a", "begin b", "finish b", "begin c", "finish c"]
    assert waiting == [2, 1, 0]


def test_no_batch_is_held_back_until_another_comes() -> None:
    rig = Rig(StepwiseTagger(overlaps=True))
    rig.stage.start(lambda: None)
    for number in range(3):
        rig.batches.put(Batch(ABC[number], 1, 0.0, 0.0))
        rig.came_out(number + 1)
    rig.batches.close()
    assert rig.stage.join(PATIENCE_S)
    assert offsets(rig.tagged.get_many(9)) == [0, 1, 2]


def test_a_batch_without_articles_keeps_its_place_between_others() -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    assert offsets(rig.run(ABC[0], (Tombstone(raw(1)),), ABC[2])) == [0, 1, 2]
    assert tagger.events == ["begin a", "finish a", "begin c", "finish c"]
    assert len(rig.observer.results) == 2


@pytest.mark.parametrize("event", ["room beside a", "begin b", "finish a"])
def test_a_device_that_breaks_between_two_batches_rejects_neither(event: str) -> None:
    def break_() -> None:
        raise ArithmeticError("the device broke")

    tagger = StepwiseTagger(overlaps=True)
    tagger.on[event] = break_
    rig = Rig(tagger)
    assert rig.run(*ABC) == []
    assert isinstance(rig.stage.failure, ArithmeticError)
    rig.tagged.put(TaggedBatch(()))  # still open: nobody may take this for a full drain


@pytest.mark.parametrize(("event", "handed_on"), [("begin a", [0]), ("begin b", [0, 1])])
def test_what_is_under_way_when_the_channel_is_aborted_is_handed_on(
    event: str, handed_on: list[int]
) -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    tagger.on[event] = rig.batches.abort
    assert offsets(rig.run(*ABC)) == handed_on
    assert isinstance(rig.stage.failure, ChannelAborted)
    rig.tagged.put(TaggedBatch(()))


def test_the_seconds_of_a_batch_are_those_that_were_spent_on_it() -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    for name, begin_s, finish_s in (("a", 1.0, 2.0), ("b", 4.0, 8.0), ("c", 16.0, 32.0)):
        tagger.on[f"begin {name}"] = partial(rig.clock.advance, begin_s)
        tagger.on[f"finish {name}"] = partial(rig.clock.advance, finish_s)
    tagger.on["room beside a"] = lambda: rig.clock.advance(64.0)
    rig.run(*ABC)
    assert rig.observer.seconds["tag"] == [67.0, 12.0, 48.0]
    assert rig.stage.batch_s == 67.0


def test_what_a_batch_takes_is_told_by_the_longest_of_the_latest() -> None:
    tagger = StepwiseTagger(overlaps=False)
    rig = Rig(tagger)
    assert rig.stage.batch_s == 0.0
    tagger.on["finish a"] = lambda: rig.clock.advance(64.0)
    tagger.on["finish b"] = lambda: rig.clock.advance(2.0)
    tagger.on["finish c"] = lambda: rig.clock.advance(1.0)
    rig.run(*ABC, *ABC[1:] * 3)
    assert rig.stage.batch_s == 2.0


@pytest.mark.parametrize("event", ["room beside a", "begin b", "finish a", "finish b"])
def test_a_device_that_hangs_with_two_batches_under_way_is_seen(event: str) -> None:
    tagger = StepwiseTagger(overlaps=True)
    rig = Rig(tagger)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert goes_on.wait(PATIENCE_S)

    tagger.on[event] = hang
    for items in ABC[:2]:
        rig.batches.put(Batch(items, 1, 0.0, 0.0))
    rig.stage.start(lambda: None)
    assert hangs.wait(PATIENCE_S)
    rig.clock.advance(7.0)
    assert rig.stage.stalled_s() == 7.0
    goes_on.set()
    rig.batches.close()
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.stalled_s() == 0.0
