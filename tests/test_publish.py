"""PublishStage: outcomes and offsets become final together, or neither does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest

from consumer.articles import Outcome, RejectCode, Rejected, TaggedBatch, Tombstone, TopicPartition
from consumer.articles import Stage as StageName
from consumer.errors import AbortableError, DeadLetterLimitExceeded, KafkaProblem
from consumer.pipeline.channel import Channel, ChannelAborted
from consumer.pipeline.commit_policy import CommitPolicy
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.dispatch import Dispatcher, Route
from consumer.pipeline.in_flight import InFlight
from consumer.pipeline.inbox import Assigned, Lost, PublishMessage, Revoked
from consumer.pipeline.observer import ReleaseReason, TransactionOutcome
from consumer.pipeline.offsets import Rewind
from consumer.pipeline.ownership import Ownership
from consumer.pipeline.publish import MAX_ABORT_PAUSE_S, PublishStage
from tests.fake_kafka import FakeBroker
from tests.fake_sink import FakeSink
from tests.fakes import (
    MODEL,
    P0,
    P1,
    PATIENCE_S,
    FakeCodec,
    FakeObserver,
    ManualClock,
    eventually,
    raw,
    tagged,
)

#: Longer than any test: only the manual clock can bring this about.
INTERVAL_S = 10_000.0


class Bench:
    """A publish stage; the test is the tag stage and the poll stage."""

    def __init__(self, limit: DeadLetterLimit | None = None) -> None:
        self.clock = ManualClock()
        self.broker = FakeBroker()
        self.sink = FakeSink(self.broker)
        self.observer = FakeObserver()
        self.tagged: Channel[PublishMessage] = Channel(None)
        self.in_flight = InFlight(1_000, 1_000_000)
        self.ownership = Ownership()
        self.rewinds: list[Mapping[TopicPartition, Rewind]] = []
        self.pauses: list[float] = []
        self.ready = threading.Event()
        self.stage = PublishStage(
            tagged=self.tagged,
            sink=self.sink,
            dispatcher=Dispatcher(
                self.sink, FakeCodec(), Route("out", "dead", MODEL, "1"), lambda: 5.0
            ),
            policy=CommitPolicy(INTERVAL_S),
            limit=limit or DeadLetterLimit(1.0, 100),
            in_flight=self.in_flight,
            ownership=self.ownership,
            rewind=self.rewinds.append,
            ready=self.ready,
            observer=self.observer,
            clock=self.clock,
            wall_clock=lambda: 5.0,
            pause=self.pauses.append,
        )

    def start(self) -> None:
        self.stage.start(lambda: None)

    def assign(self, **numbers: int) -> None:
        assignments = {TopicPartition("articles", int(name[1:])): n for name, n in numbers.items()}
        self.ownership.add(assignments)
        self.tagged.put_urgent(Assigned(assignments))

    def read(self, *outcomes: Outcome) -> None:
        """These were read by the poll stage."""
        for outcome in outcomes:
            self.broker.inputs.setdefault(outcome.raw.position.topic_partition, []).append(
                outcome.raw
            )
            self.in_flight.add(1, outcome.raw.size_bytes)
            self.observer.consumed(1, outcome.raw.size_bytes)

    def put(self, *outcomes: Outcome) -> None:
        """These were read and tagged."""
        self.read(*outcomes)
        self.tagged.put(TaggedBatch(outcomes))

    def sent(self, count: int) -> None:
        eventually(lambda: self.sink.sent_count >= count, f"{count} messages were sent")

    def idle(self) -> None:
        eventually(lambda: self.tagged.reader_waits and not self.tagged, "all is published")

    def finish(self) -> BaseException | None:
        """Let it come to its end; what it failed with."""
        self.tagged.close()
        assert self.stage.join(PATIENCE_S)
        assert self.sink.closed
        return self.stage.failure

    def reconcile(self) -> None:
        in_flight = self.observer.consumed_messages - self.observer.resolved
        assert in_flight == self.in_flight.messages


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    one.assign(p0=1, p1=1)
    one.start()
    yield one
    one.sink.commit_gate.set()
    one.tagged.abort()
    assert one.stage.join(PATIENCE_S)


def rejected(offset: int) -> Rejected:
    return Rejected(raw(offset), RejectCode.NO_TEXT, "no text", StageName.PREPARE)


def test_every_outcome_is_published_once_in_order_with_its_offset(bench: Bench) -> None:
    assert bench.ready.wait(PATIENCE_S)
    bench.put(
        tagged(0, ("PER", "LOC", "PER")), rejected(1), Tombstone(raw(2, None, timestamp_ms=None))
    )
    bench.put(tagged(3, timestamp_ms=9_000), tagged(0, (), partition=P1))
    assert bench.finish() is None
    assert bench.broker.committed == {P0: 4, P1: 1}
    assert bench.broker.outcomes(P0) == [0, 1, 2, 3]
    assert [message.topic for message in bench.broker.final] == ["out", "dead", "out", "out", "out"]
    seen = bench.observer
    assert (seen.published, seen.tombstones) == (3, 1)
    assert seen.rejected == {RejectCode.NO_TEXT: 1}
    assert seen.entities == {"PER": 3, "LOC": 1}
    # Kafka's times are 1 s and 9 s, the commit's is 5 s: a clock that is ahead is no latency.
    assert sorted(seen.latencies_s) == [0.0, 4.0, 4.0, 4.0]
    assert bench.in_flight.messages == 0
    assert bench.in_flight.size_bytes == 0
    bench.reconcile()


def test_commits_at_once_when_nothing_more_can_join(bench: Bench) -> None:
    bench.put(tagged(0), tagged(1))
    eventually(lambda: bench.broker.committed == {P0: 2}, "the commit")
    bench.reconcile()


def test_batches_within_the_interval_share_a_transaction(bench: Bench) -> None:
    waiting = tagged(9)
    bench.read(waiting)
    bench.put(tagged(0))
    bench.put(tagged(1))
    bench.sent(2)
    bench.idle()
    assert bench.broker.final == []
    bench.clock.advance(INTERVAL_S)
    bench.tagged.wake()
    eventually(lambda: bench.broker.committed == {P0: 2}, "the commit")
    assert bench.observer.transactions == {TransactionOutcome.COMMITTED: 1}
    assert bench.in_flight.messages == 1
    bench.reconcile()


def test_a_device_slower_than_the_interval_adds_no_waiting(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.idle()
    assert bench.broker.final == []
    bench.clock.advance(INTERVAL_S + 1)
    bench.put(tagged(1))
    eventually(lambda: bench.broker.committed == {P0: 2}, "the commit")
    bench.clock.advance(INTERVAL_S + 1)
    bench.put(tagged(2))
    eventually(lambda: bench.broker.committed == {P0: 3}, "the commit, at once")


def test_an_aborted_commit_is_read_again_and_published_once(bench: Bench) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.put(tagged(4), rejected(5))
    eventually(lambda: bench.rewinds, "the rewind")
    assert bench.rewinds == [{P0: Rewind(4, 1)}]
    assert bench.broker.final == []
    assert bench.in_flight.messages == 0
    assert bench.observer.releases == {ReleaseReason.REWOUND: 2}
    # What was in the pipeline under the old number is let go; what is read again is not.
    bench.put(tagged(6))
    bench.assign(p0=2)
    bench.put(tagged(7))
    bench.idle()
    assert bench.sink.sent_count == 2
    bench.broker.inputs.clear()
    bench.put(tagged(4, assignment=2), tagged(5, assignment=2))
    assert bench.finish() is None
    assert bench.broker.outcomes() == [4, 5]
    assert bench.broker.committed == {P0: 6}
    assert bench.observer.releases == {ReleaseReason.REWOUND: 4}
    assert bench.observer.transactions == {
        TransactionOutcome.ABORTED: 1,
        TransactionOutcome.COMMITTED: 1,
    }
    bench.reconcile()


def test_an_abort_in_mid_batch_lets_go_its_partitions_and_keeps_the_others(bench: Bench) -> None:
    bench.sink.send_failures.extend([None, AbortableError("lost")])
    bench.put(tagged(0), tagged(1), tagged(2), tagged(7, partition=P1))
    eventually(lambda: bench.broker.committed, "the commit")
    assert bench.rewinds == [{P0: Rewind(0, 1)}]
    assert bench.broker.committed == {P1: 8}
    assert bench.broker.outcomes(P1) == [7]
    assert bench.broker.outcomes(P0) == []
    assert bench.in_flight.messages == 0
    bench.reconcile()


def test_a_transaction_that_cannot_begin_loses_nothing(bench: Bench) -> None:
    bench.sink.begin_failures.append(AbortableError("lost"))
    bench.put(tagged(0), tagged(1))
    eventually(lambda: bench.rewinds, "the rewind")
    assert bench.rewinds == [{P0: Rewind(0, 1)}]
    bench.idle()
    assert bench.broker.committed == {}
    assert bench.in_flight.messages == 0
    bench.reconcile()


def test_a_message_too_large_for_the_broker_is_a_dead_letter_the_second_time(
    bench: Bench,
) -> None:
    bench.sink.broker_max_bytes = {"out": 10}
    bench.put(tagged(0))
    eventually(lambda: bench.rewinds, "the rewind")
    bench.broker.inputs.clear()
    bench.assign(p0=2)
    bench.put(tagged(0, assignment=2))
    assert bench.finish() is None
    assert [message.topic for message in bench.broker.final] == ["dead"]
    assert bench.observer.rejected == {RejectCode.TOO_LARGE: 1}
    assert bench.observer.published == 0


def test_aborts_in_a_row_wait_ever_longer_up_to_a_bound(bench: Bench) -> None:
    for number in range(1, 12):
        bench.sink.commit_failures.append(AbortableError("again"))
        bench.assign(p0=number)
        bench.put(tagged(0, assignment=number))
        eventually(lambda n=number: len(bench.rewinds) == n, "the rewind")
    bench.idle()
    assert bench.pauses[:3] == [0.2, 0.4, 0.8]
    assert bench.pauses == sorted(bench.pauses)
    assert bench.pauses[-1] == MAX_ABORT_PAUSE_S
    pauses = len(bench.pauses)
    bench.broker.inputs.clear()
    bench.assign(p0=50)
    bench.put(tagged(0, assignment=50))
    eventually(lambda: bench.broker.committed, "the commit")
    bench.sink.commit_failures.append(AbortableError("again"))
    bench.put(tagged(1, assignment=50))
    eventually(lambda: len(bench.rewinds) == 12, "the rewind")
    bench.idle()
    assert len(bench.pauses) == pauses  # a commit between them starts over


@pytest.mark.parametrize("where", ["begin_failures", "send_failures", "commit_failures"])
def test_any_other_refusal_ends_the_stage_and_nothing_is_final(bench: Bench, where: str) -> None:
    failure = KafkaProblem("fenced")
    getattr(bench.sink, where).append(failure)
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is failure
    assert bench.sink.closed
    assert bench.broker.final == []


def test_an_abort_that_fails_ends_the_stage(bench: Bench) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.sink.abort_failure = KafkaProblem("fenced")
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is bench.sink.abort_failure
    assert bench.sink.closed
    assert bench.rewinds == []


def test_messages_out_of_order_end_the_stage_before_a_commit(bench: Bench) -> None:
    bench.put(tagged(1), tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, RuntimeError)
    assert "out of order" in str(bench.stage.failure)
    assert bench.broker.final == []
    assert bench.sink.closed


def test_too_many_dead_letters_end_the_stage_uncommitted() -> None:
    bench = Bench(DeadLetterLimit(0.5, 4))
    bench.assign(p0=1)
    bench.start()
    bench.put(rejected(0), rejected(1), rejected(2), tagged(3))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, DeadLetterLimitExceeded)
    assert bench.broker.final == []
    assert bench.sink.closed


def test_a_message_rejected_while_sending_counts_for_the_limit() -> None:
    bench = Bench(DeadLetterLimit(0.0, 1))
    bench.sink.client_max_bytes = {"out": 5}
    bench.assign(p0=1)
    bench.start()
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, DeadLetterLimitExceeded)


def test_a_revoke_commits_what_is_finished_and_lets_go_the_rest(bench: Bench) -> None:
    bench.sink.commit_gate.clear()
    bench.put(tagged(0))  # the stage is busy with this while more gets ready
    assert bench.sink.committing.wait(PATIENCE_S)
    bench.put(tagged(1), tagged(5, partition=P1))
    late = tagged(2)
    bench.read(late)
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert not done.is_set()
    bench.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert bench.broker.committed == {P0: 2, P1: 6}
    bench.ownership.drop([P0])
    bench.tagged.put(TaggedBatch((late,)))
    bench.put(tagged(6, partition=P1))
    assert bench.finish() is None
    assert bench.broker.committed == {P0: 2, P1: 7}
    assert bench.broker.outcomes(P0) == [0, 1]
    assert bench.observer.releases == {ReleaseReason.REVOKED: 1}
    bench.reconcile()


def test_a_revoke_with_nothing_open_is_done_at_once(bench: Bench) -> None:
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0, P1), done))
    assert done.wait(PATIENCE_S)
    assert bench.observer.transactions == {}


def test_a_revoke_whose_commit_is_refused_is_done_all_the_same(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.sink.commit_failures.append(AbortableError("fenced by the group"))
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []
    assert bench.finish() is None
    bench.reconcile()


def test_what_is_no_longer_owned_is_not_committed(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.ownership.drop([P0])  # the revoke did not wait for us
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []
    assert bench.broker.committed == {}


def test_what_was_read_before_a_partition_went_and_came_back_is_not_committed(
    bench: Bench,
) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.ownership.drop([P0])
    bench.ownership.add({P0: 2})
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []


def test_lost_partitions_with_open_outcomes_abort_the_transaction(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0), tagged(5, partition=P1))
    bench.sent(2)
    bench.ownership.drop([P0])
    bench.tagged.put_urgent(Lost((P0,)))
    eventually(lambda: bench.rewinds, "the rewind")
    assert bench.rewinds == [{P0: Rewind(0, 1), P1: Rewind(5, 1)}]
    assert bench.broker.final == []
    bench.put(tagged(1))
    bench.idle()
    assert bench.sink.sent_count == 2
    assert bench.observer.releases[ReleaseReason.REVOKED] == 1
    bench.reconcile()


def test_lost_partitions_without_open_outcomes_leave_the_others_alone(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(5, partition=P1))
    bench.sent(1)
    bench.tagged.put_urgent(Lost((P0,)))
    assert bench.finish() is None
    assert bench.broker.committed == {P1: 6}
    assert bench.rewinds == []


def test_the_end_commits_what_is_open(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    assert bench.finish() is None
    assert bench.broker.committed == {P0: 1}


def test_an_abort_at_the_end_is_not_taken_for_a_drain(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.sink.commit_failures.append(AbortableError("lost"))
    failure = bench.finish()
    assert isinstance(failure, KafkaProblem)
    assert "while the worker was stopping" in str(failure)
    assert bench.broker.final == []


def test_an_abort_that_a_later_commit_of_others_hides_is_not_taken_for_a_drain(
    bench: Bench,
) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.put(tagged(0))
    eventually(lambda: bench.rewinds, "the rewind")
    bench.put(tagged(5, partition=P1))
    assert isinstance(bench.finish(), KafkaProblem)
    assert bench.broker.committed == {P1: 6}


def test_an_abort_that_was_made_good_does_not_spoil_the_end(bench: Bench) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.put(tagged(0))
    eventually(lambda: bench.rewinds, "the rewind")
    bench.assign(p0=2)
    assert bench.finish() is None


def test_an_aborted_channel_commits_nothing(bench: Bench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.tagged.abort()
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, ChannelAborted)
    assert bench.broker.final == []
    assert [len(messages) for messages in bench.sink.aborted] == [1]
    assert bench.sink.closed


def test_a_producer_that_cannot_open_is_not_ready() -> None:
    bench = Bench()
    bench.sink.open_failure = KafkaProblem("no broker answers")
    bench.start()
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is bench.sink.open_failure
    assert not bench.ready.is_set()
    assert bench.sink.closed


def test_a_late_revoke_does_not_take_what_was_read_since(bench: Bench) -> None:
    bench.sink.commit_gate.clear()
    bench.put(tagged(0))
    assert bench.sink.committing.wait(PATIENCE_S)
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    bench.ownership.drop([P0])  # the revoke did not wait, and the partition came back
    bench.assign(p0=2)
    bench.broker.inputs.clear()
    bench.put(tagged(0, assignment=2), tagged(1, assignment=2))
    bench.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert bench.finish() is None
    assert bench.broker.outcomes() == [0, 1]
