"""PublishStage when something fails: what is void is read again, nothing else is final."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import (
    AbortableError,
    DeadLetterLimitExceeded,
    GroupMoved,
    KafkaProblem,
)
from consumer.contracts.observer import ReleaseReason, TransactionOutcome
from consumer.pipeline.channel import ChannelAborted
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.offsets import Rewind
from consumer.pipeline.publish import MAX_ABORT_PAUSE_S
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, tagged
from tests.support.publish_rig import PublishBench, publishing, rejected


@pytest.fixture
def bench() -> Iterator[PublishBench]:
    with publishing() as one:
        yield one


def test_an_aborted_commit_is_read_again_and_published_once(bench: PublishBench) -> None:
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


def test_an_abort_in_mid_batch_lets_go_its_partitions_and_keeps_the_others(
    bench: PublishBench,
) -> None:
    bench.sink.send_failures.extend([None, AbortableError("lost")])
    bench.put(tagged(0), tagged(1), tagged(2), tagged(7, partition=P1))
    eventually(lambda: bench.broker.committed, "the commit")
    assert bench.rewinds == [{P0: Rewind(0, 1)}]
    assert bench.broker.committed == {P1: 8}
    assert bench.broker.outcomes(P1) == [7]
    assert bench.broker.outcomes(P0) == []
    assert bench.in_flight.messages == 0
    bench.reconcile()


def test_a_transaction_that_cannot_begin_loses_nothing(bench: PublishBench) -> None:
    bench.sink.begin_failures.append(AbortableError("lost"))
    bench.put(tagged(0), tagged(1))
    eventually(lambda: bench.rewinds, "the rewind")
    assert bench.rewinds == [{P0: Rewind(0, 1)}]
    bench.idle()
    assert bench.broker.committed == {}
    assert bench.in_flight.messages == 0
    bench.reconcile()


def test_a_message_too_large_for_the_broker_is_a_dead_letter_the_second_time(
    bench: PublishBench,
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


def test_aborts_in_a_row_wait_ever_longer_up_to_a_bound(bench: PublishBench) -> None:
    for number in range(1, 12):
        bench.sink.commit_failures.append(AbortableError("again"))
        bench.assign(p0=number)
        bench.put(tagged(0, assignment=number))
        bench.rewound(number)
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
def test_any_other_refusal_ends_the_stage_and_nothing_is_final(
    bench: PublishBench, where: str
) -> None:
    failure = KafkaProblem("fenced")
    getattr(bench.sink, where).append(failure)
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is failure
    assert bench.sink.closed
    assert bench.broker.final == []


def test_an_abort_that_fails_ends_the_stage(bench: PublishBench) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.sink.abort_failure = KafkaProblem("fenced")
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is bench.sink.abort_failure
    assert bench.sink.closed
    assert bench.rewinds == []


def test_messages_out_of_order_end_the_stage_before_a_commit(bench: PublishBench) -> None:
    bench.put(tagged(1), tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, RuntimeError)
    assert "out of order" in str(bench.stage.failure)
    assert bench.broker.final == []
    assert bench.sink.closed


def test_too_many_dead_letters_end_the_stage_uncommitted() -> None:
    bench = PublishBench(DeadLetterLimit(0.5, 4))
    bench.assign(p0=1)
    bench.start()
    bench.put(rejected(0), rejected(1), rejected(2), tagged(3))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, DeadLetterLimitExceeded)
    assert bench.broker.final == []
    assert bench.sink.closed


def test_a_message_rejected_while_sending_counts_for_the_limit() -> None:
    bench = PublishBench(DeadLetterLimit(0.0, 1))
    bench.sink.client_max_bytes = {"out": 5}
    bench.assign(p0=1)
    bench.start()
    bench.put(tagged(0))
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, DeadLetterLimitExceeded)


def test_an_abort_at_the_end_is_not_taken_for_a_drain(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.sink.commit_failures.append(AbortableError("lost"))
    failure = bench.finish()
    assert isinstance(failure, KafkaProblem)
    assert "while the worker was stopping" in str(failure)
    assert bench.broker.final == []


def test_a_rebalance_at_the_end_is_a_drain(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.sink.commit_failures.append(GroupMoved("the generation is not valid"))
    assert bench.finish() is None
    assert bench.broker.final == []
    assert bench.broker.committed == {}


def test_an_abort_that_a_later_commit_of_others_hides_is_not_taken_for_a_drain(
    bench: PublishBench,
) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.put(tagged(0))
    eventually(lambda: bench.rewinds, "the rewind")
    bench.put(tagged(5, partition=P1))
    assert isinstance(bench.finish(), KafkaProblem)
    assert bench.broker.committed == {P1: 6}


def test_an_abort_that_was_made_good_does_not_spoil_the_end(bench: PublishBench) -> None:
    bench.sink.commit_failures.append(AbortableError("lost"))
    bench.put(tagged(0))
    eventually(lambda: bench.rewinds, "the rewind")
    bench.assign(p0=2)
    assert bench.finish() is None


def test_an_aborted_channel_commits_nothing(bench: PublishBench) -> None:
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
    bench = PublishBench()
    bench.sink.open_failure = KafkaProblem("no broker answers")
    bench.start()
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is bench.sink.open_failure
    assert not bench.ready.is_set()
    assert bench.sink.closed
