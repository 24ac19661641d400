"""PrepareStage: messages to batches, in order, at the right time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from structlog.testing import capture_logs

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import TokenizerFailed
from consumer.contracts.messages import (
    Article,
    Batch,
    PreparedArticle,
    RawMessage,
    Rejected,
    Tombstone,
)
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.bookkeeping.stale import Stale
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.prepare import CHUNK_BYTES, CHUNK_MESSAGES, RETRY_S, PrepareStage
from consumer.worker import BATCHES
from tests.support.fakes import (
    P0,
    PATIENCE_S,
    FakeCodec,
    FakeEncoding,
    FakeTagger,
    ManualClock,
    eventually,
    in_thread,
    raw,
    untagged,
)
from tests.support.memory.fake_observer import FakeObserver

#: Longer than any test: only the manual clock can bring this about.
FOREVER_S = 10_000.0


class Rig:
    """A prepare stage between two channels; the test is the tagger."""

    def __init__(
        self, max_tokens: int = 1_000, max_articles: int = 1_000, tagger: FakeTagger | None = None
    ) -> None:
        self.clock = ManualClock()
        self.tagger = tagger or FakeTagger()
        self.observer = FakeObserver()
        self.incoming: Channel[RawMessage] = Channel(None)
        self.batches: Channel[Batch] = Channel(BATCHES, on_demand=self.incoming.wake)
        self.codec = FakeCodec()
        self.let_go: list[int] = []
        self.ownership = Ownership()
        self.ownership.add({P0: 1})
        self.in_flight = InFlight(1_000, 1_000_000)
        self.stage = PrepareStage(
            incoming=self.incoming,
            batches=self.batches,
            deserializer=self.codec,
            tagger=self.tagger,
            builder=BatchBuilder(max_tokens, max_articles, FOREVER_S),
            stale=Stale(self.ownership, self.in_flight),
            let_go=lambda messages: self.let_go.extend(one.position.offset for one in messages),
            observer=self.observer,
            clock=self.clock,
        )

    def start(self) -> None:
        self.stage.start(lambda: None)

    def put(self, *values: bytes | None, first: int = 0) -> None:
        for offset, value in enumerate(values, first):
            self.incoming.put(raw(offset, value))

    def taken_in(self) -> None:
        """Wait until everything that was put is in the builder."""
        eventually(lambda: not self.incoming and self.incoming.reader_waits, "all is taken in")

    def take(self) -> list[int]:
        """The offsets of the next batch."""
        batch = self.batches.get(PATIENCE_S)
        assert batch is not None, "no batch came"
        return [item.raw.position.offset for item in batch.items]

    def rest(self) -> list[list[int]]:
        """The offsets of all batches to the end."""
        taken = []
        while True:
            try:
                taken.append(self.take())
            except ChannelClosed:
                return taken


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    yield one
    one.incoming.abort()
    one.batches.abort()
    assert one.stage.join(PATIENCE_S)


def test_what_is_read_again_is_not_prepared(rig: Rig) -> None:
    rig.put(b"Ada", b"untokenizable", b"Grace")
    rig.in_flight.add(3, 0)
    rig.ownership.add({P0: 2})
    rig.incoming.put(raw(0, b"Ada again", assignment=2))
    rig.incoming.close()
    rig.start()
    assert rig.rest() == [[0]]
    assert rig.let_go == [0, 1, 2]
    assert rig.tagger.chunks == [["Ada again"]]


def test_good_rejected_and_null_messages_keep_their_order(rig: Rig) -> None:
    rig.put(b"Ada wrote", b"bad", None, b"untokenizable", b"so did Grace")
    rig.incoming.close()
    rig.start()
    batch = rig.batches.get(PATIENCE_S)
    assert batch is not None
    first, bad, tombstone, untokenizable, last = batch.items
    assert isinstance(first, PreparedArticle)
    assert (first.raw, first.encoding.tokens) == (raw(0, b"Ada wrote"), 2)
    assert bad == Rejected(
        raw(1, b"bad"), RejectCode.INVALID_JSON, "the value is not JSON", RejectStage.PREPARE
    )
    assert tombstone == Tombstone(raw(2, None))
    assert isinstance(untokenizable, Rejected)
    assert untokenizable.code is RejectCode.TOKENIZATION_FAILED
    assert untokenizable.stage is RejectStage.PREPARE
    assert "no such symbol" in untokenizable.message
    assert isinstance(last, PreparedArticle)
    assert (last.raw, last.encoding.tokens) == (raw(4, b"so did Grace"), 3)
    assert batch.tokens == 5


def test_what_no_model_reads_passes_in_its_place_and_is_not_tokenised(rig: Rig) -> None:
    rig.put(b"Ada wrote", b"picture", b"Grace")
    rig.incoming.close()
    rig.start()
    batch = rig.batches.get(PATIENCE_S)
    assert batch is not None
    assert batch.items[1] == untagged(1)
    assert (len(batch.items), batch.tokens) == (3, 3)
    assert rig.tagger.chunks == [["Ada wrote", "Grace"]]


@pytest.mark.parametrize("value", [b"Ada wrote", None])
def test_what_has_headers_that_cannot_be_carried_is_rejected(rig: Rig, value: bytes | None) -> None:
    odd = raw(0, value, has_unreadable_headers=True)
    rig.incoming.put(odd)
    rig.incoming.close()
    rig.start()
    batch = rig.batches.get(PATIENCE_S)
    assert batch is not None
    (item,) = batch.items
    assert isinstance(item, Rejected)
    assert (item.raw, item.code, item.stage) == (
        odd,
        RejectCode.INVALID_HEADER,
        RejectStage.PREPARE,
    )
    assert "not UTF-8" in item.message


def test_an_idle_tagger_gets_what_there_is_at_once(rig: Rig) -> None:
    waiting = in_thread(rig.take)
    eventually(lambda: rig.batches.reader_waits, "the tagger is idle")
    rig.put(b"a", b"b", b"c")
    rig.start()
    assert waiting.result(PATIENCE_S) == [0, 1, 2]


def test_a_tagger_that_becomes_idle_gets_what_there_is_at_once(rig: Rig) -> None:
    rig.start()
    rig.put(b"a", b"b")
    rig.taken_in()
    assert len(rig.batches) == 0
    assert rig.take() == [0, 1]


def test_while_a_batch_waits_for_the_tagger_the_next_one_fills(rig: Rig) -> None:
    rig.start()
    rig.put(b"a")
    rig.taken_in()
    rig.clock.advance(FOREVER_S)
    rig.incoming.wake()
    eventually(lambda: len(rig.batches) == 1, "the first batch waits")
    for offset in range(1, 5):
        rig.put(b"b", first=offset)
        rig.taken_in()
        rig.clock.advance(FOREVER_S)  # past its deadline too: the tagger has one
    assert rig.take() == [0]
    assert rig.take() == [1, 2, 3, 4]


def test_full_batches_join_the_one_that_waits_for_the_tagger() -> None:
    rig = Rig(max_articles=2)
    rig.start()
    rig.put(*[b"a"] * 7)
    eventually(lambda: len(rig.batches) == 3, "three are full")
    rig.clock.advance(FOREVER_S)
    rig.incoming.wake()
    rig.taken_in()
    assert [rig.take() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert rig.take() == [6]
    rig.incoming.close()
    assert rig.rest() == []


def test_a_batch_leaves_when_it_has_waited_long_enough(rig: Rig) -> None:
    rig.start()
    rig.put(b"a", b"b")
    rig.taken_in()
    rig.clock.advance(FOREVER_S / 2)
    rig.incoming.wake()
    rig.taken_in()
    assert len(rig.batches) == 0
    rig.clock.advance(FOREVER_S / 2)
    rig.incoming.wake()
    eventually(lambda: len(rig.batches) == 1, "the batch left")
    assert rig.take() == [0, 1]
    eventually(lambda: rig.observer.batches, "the batch was reported")
    assert rig.observer.batches == [(2, 2, FOREVER_S)]


@pytest.mark.parametrize(
    ("max_tokens", "max_articles", "expected"),
    [(1_000, 2, [[0, 1], [2, 3], [4]]), (3, 1_000, [[0], [1], [2], [3], [4]])],
)
def test_full_batches_leave_at_once(
    max_tokens: int, max_articles: int, expected: list[list[int]]
) -> None:
    rig = Rig(max_tokens, max_articles)
    rig.start()
    rig.put(b"a b", b"c d", b"e f g", b"h i", b"j k")
    rig.incoming.close()
    assert rig.rest() == expected


def test_an_article_over_the_budget_goes_alone() -> None:
    rig = Rig(max_tokens=3)
    rig.start()
    rig.put(b"a", b"b", b"one two three four five", b"c")
    rig.incoming.close()
    assert rig.rest() == [[0, 1], [2], [3]]


def test_a_full_batch_leaves_while_nothing_more_comes() -> None:
    rig = Rig(max_articles=2)
    rig.start()
    rig.put(b"a", b"b")
    eventually(lambda: len(rig.batches) == 1, "the full batch left")
    rig.incoming.close()
    assert rig.rest() == [[0, 1]]


def test_the_end_closes_what_is_left(rig: Rig) -> None:
    rig.start()
    rig.put(b"a", b"b")
    rig.taken_in()
    rig.incoming.close()
    assert rig.rest() == [[0, 1]]
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.failure is None


def test_an_end_without_messages_makes_no_batch(rig: Rig) -> None:
    rig.start()
    rig.incoming.close()
    assert rig.rest() == []


def test_what_is_tokenised_at_once_is_bounded(rig: Rig) -> None:
    large = b"x" * (CHUNK_BYTES // 2 + 1)
    rig.put(large, large, *[b"y"] * (CHUNK_MESSAGES + 1))
    rig.incoming.close()
    rig.start()
    assert sum(map(len, rig.rest())) == CHUNK_MESSAGES + 3
    assert [len(chunk) for chunk in rig.tagger.chunks] == [1, CHUNK_MESSAGES, 2]


def test_a_defect_in_the_decoder_fails_the_stage(rig: Rig) -> None:
    rig.put(b"\xff")  # this decoder is no match for it
    rig.start()
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, UnicodeDecodeError)


def test_an_aborted_channel_ends_the_stage_without_a_word_to_the_next(rig: Rig) -> None:
    rig.start()
    rig.put(b"a")
    rig.taken_in()
    rig.incoming.abort()
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, ChannelAborted)
    assert len(rig.batches) == 0


class Lost(FakeTagger):
    """Cannot tokenise any more, whatever the article."""

    def encode(self, articles: Sequence[Article]) -> list[FakeEncoding]:
        raise TokenizerFailed(f"processes end by themselves, {len(articles)} articles wait")


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_says_nothing_about_the_articles_fails_the_stage(at_once: int) -> None:
    """Good articles must not become dead letters for want of memory."""
    tagger = Lost()
    tagger.encodings_at_once = at_once
    rig = Rig(tagger=tagger)
    rig.put(b"Ada wrote")
    rig.start()
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, TokenizerFailed)
    assert len(rig.batches) == 0


class SlowFirst(FakeTagger):
    """Has a device of its own; the first chunk is tokenised only when another one has been."""

    encodings_at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self.another = threading.Event()
        self.waited = False

    def encode(self, articles: Sequence[Article]) -> list[FakeEncoding]:
        if articles[0].fields[0].text.startswith("first"):
            self.waited = self.another.wait(PATIENCE_S)
        else:
            self.another.set()
        return super().encode(articles)


def test_chunks_are_tokenised_at_once_beside_a_device_and_keep_their_order() -> None:
    tagger = SlowFirst()
    rig = Rig(max_articles=CHUNK_MESSAGES, tagger=tagger)
    rig.put(b"first of all", *[b"Ada wrote"] * (CHUNK_MESSAGES - 1))
    rig.put(*[b"Grace", b"untokenizable"] * CHUNK_MESSAGES, first=CHUNK_MESSAGES)
    rig.incoming.close()
    rig.start()
    taken = [offset for batch in rig.rest() for offset in batch]
    assert taken == list(range(3 * CHUNK_MESSAGES))
    assert tagger.waited
    assert rig.stage.join(PATIENCE_S)
    assert not [one for one in threading.enumerate() if "tokenize" in one.name]


def test_a_chunk_under_way_is_waited_for_when_nothing_more_comes() -> None:
    rig = Rig(tagger=SlowFirst())
    rig.start()
    rig.put(b"Ada wrote")
    assert rig.take() == [0]
    rig.incoming.abort()
    rig.batches.abort()
    assert rig.stage.join(PATIENCE_S)


class TestWithoutTheRegistry:
    """What `decode` needs from elsewhere is not there for a while."""

    def until_it_waits(self, rig: Rig) -> None:
        eventually(lambda: "away" in rig.stage.obstacle, "it waits")

    def answers(self, rig: Rig) -> None:
        rig.codec.missing = ""
        rig.clock.advance(RETRY_S)

    def test_messages_are_held_and_none_is_rejected(self, rig: Rig) -> None:
        rig.start()
        rig.put(b"a")
        assert rig.take() == [0]
        rig.codec.missing = "away"
        rig.put(b"b", b"bad", None, first=1)
        self.until_it_waits(rig)
        rig.put(b"c", first=4)
        rig.clock.advance(RETRY_S)
        assert rig.batches.get(0.2) is None
        self.answers(rig)
        rig.incoming.close()
        assert [offset for batch in rig.rest() for offset in batch] == [1, 2, 3, 4]
        assert rig.stage.obstacle == ""
        assert rig.codec.is_closed

    def test_it_is_asked_for_before_the_first_message(self, rig: Rig) -> None:
        rig.codec.missing = "away"
        rig.start()
        self.until_it_waits(rig)
        self.answers(rig)
        eventually(lambda: not rig.stage.obstacle, "it answers")

    def test_what_was_decoded_goes_on(self, rig: Rig) -> None:
        rig.batches.put(Batch((), 0, 0.0, 0.0))  # so that the next one fills
        rig.start()
        rig.put(b"a")
        rig.taken_in()
        rig.codec.missing = "away"
        rig.put(b"b", first=1)
        self.until_it_waits(rig)
        assert rig.take() == []
        assert rig.take() == [0]
        self.answers(rig)
        assert rig.take() == [1]

    def test_it_stands_still_without_being_stalled(self, rig: Rig) -> None:
        rig.codec.missing = "away"
        rig.start()
        rig.put(b"a")
        self.until_it_waits(rig)
        rig.clock.advance(FOREVER_S)
        eventually(lambda: rig.stage.stalled_s() == 0.0, "it is idle")

    def test_the_end_of_the_worker_lets_go_what_is_held(self, rig: Rig) -> None:
        rig.codec.missing = "away"
        rig.start()
        rig.put(b"a", b"b")
        rig.incoming.close()
        self.until_it_waits(rig)
        rig.stage.let_go()
        assert rig.rest() == []
        assert rig.let_go == [0, 1]

    def test_an_abort_ends_it(self, rig: Rig) -> None:
        rig.codec.missing = "away"
        rig.start()
        rig.put(b"a")
        self.until_it_waits(rig)
        rig.incoming.abort()
        assert rig.stage.join(PATIENCE_S)
        assert isinstance(rig.stage.failure, ChannelAborted)

    def test_the_log_says_so_once_and_when_it_is_over(self, rig: Rig) -> None:
        with capture_logs() as logs:
            rig.codec.missing = "away"
            rig.start()
            rig.put(b"a")
            self.until_it_waits(rig)
            rig.clock.advance(RETRY_S)
            self.answers(rig)
            rig.take()
        said = [(line["log_level"], line["event"]) for line in logs]
        assert said == [
            ("warning", "waiting for the schema registry"),
            ("info", "the schema registry answers"),
        ]
