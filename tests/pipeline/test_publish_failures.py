"""PublishStage when something fails: what is void is read again, nothing else is final."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode, ReleaseReason, TransactionOutcome
from consumer.contracts.errors import (
    AbortableError,
    DeadLetterLimitExceeded,
    GroupMoved,
    KafkaProblem,
)
from consumer.pipeline.bookkeeping.offsets import Rewind
from consumer.pipeline.channel import ChannelAborted
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.publish import MAX_ABORT_PAUSE_S
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, tagged
from tests.support.rigs.publish_rig import PublishRig, publishing, rejected


@pytest.fixture
def rig() -> Iterator[PublishRig]:
    with publishing() as one:
        yield one


def test_an_aborted_commit_is_read_again_and_published_once(rig: PublishRig) -> None:
    rig.sink.commit_failures.append(AbortableError("lost"))
    rig.put(tagged(4), rejected(5))
    eventually(lambda: rig.rewinds, "the rewind")
    assert rig.rewinds == [{P0: Rewind(4, 1)}]
    assert rig.broker.final == []
    assert rig.in_flight.messages == 0
    assert rig.observer.releases == {ReleaseReason.REWOUND: 2}
    # What was in the pipeline under the old number is let go; what is read again is not.
    rig.put(tagged(6))
    rig.assign(p0=2)
    rig.put(tagged(7))
    rig.idle()
    assert rig.sink.sent_count == 2
    rig.broker.inputs.clear()
    rig.put(tagged(4, assignment=2), tagged(5, assignment=2))
    assert rig.finish() is None
    assert rig.broker.outcomes() == [4, 5]
    assert rig.broker.committed == {P0: 6}
    assert rig.observer.releases == {ReleaseReason.REWOUND: 4}
    assert rig.observer.transactions == {
        TransactionOutcome.ABORTED: 1,
        TransactionOutcome.COMMITTED: 1,
    }
    rig.reconcile()


def test_an_abort_in_mid_batch_lets_go_its_partitions_and_keeps_the_others(
    rig: PublishRig,
) -> None:
    rig.sink.send_failures.extend([None, AbortableError("lost")])
    rig.put(tagged(0), tagged(1), tagged(2), tagged(7, partition=P1))
    eventually(lambda: rig.broker.committed, "the commit")
    assert rig.rewinds == [{P0: Rewind(0, 1)}]
    assert rig.broker.committed == {P1: 8}
    assert rig.broker.outcomes(P1) == [7]
    assert rig.broker.outcomes(P0) == []
    assert rig.in_flight.messages == 0
    rig.reconcile()


def test_a_transaction_that_cannot_begin_loses_nothing(rig: PublishRig) -> None:
    rig.sink.begin_failures.append(AbortableError("lost"))
    rig.put(tagged(0), tagged(1))
    eventually(lambda: rig.rewinds, "the rewind")
    assert rig.rewinds == [{P0: Rewind(0, 1)}]
    rig.idle()
    assert rig.broker.committed == {}
    assert rig.in_flight.messages == 0
    rig.reconcile()


def test_a_message_too_large_for_the_broker_is_a_dead_letter_the_second_time(
    rig: PublishRig,
) -> None:
    rig.sink.broker_max_bytes = {"out": 10}
    rig.put(tagged(0))
    eventually(lambda: rig.rewinds, "the rewind")
    rig.broker.inputs.clear()
    rig.assign(p0=2)
    rig.put(tagged(0, assignment=2))
    assert rig.finish() is None
    assert [message.topic for message in rig.broker.final] == ["dead"]
    assert rig.observer.rejected == {RejectCode.TOO_LARGE: 1}
    assert rig.observer.published == 0


def test_aborts_in_a_row_wait_ever_longer_up_to_a_bound(rig: PublishRig) -> None:
    for number in range(1, 12):
        rig.sink.commit_failures.append(AbortableError("again"))
        rig.assign(p0=number)
        rig.put(tagged(0, assignment=number))
        rig.rewound(number)
    rig.idle()
    assert rig.pauses[:3] == [0.2, 0.4, 0.8]
    assert rig.pauses == sorted(rig.pauses)
    assert rig.pauses[-1] == MAX_ABORT_PAUSE_S
    pauses = len(rig.pauses)
    rig.broker.inputs.clear()
    rig.assign(p0=50)
    rig.put(tagged(0, assignment=50))
    eventually(lambda: rig.broker.committed, "the commit")
    rig.sink.commit_failures.append(AbortableError("again"))
    rig.put(tagged(1, assignment=50))
    eventually(lambda: len(rig.rewinds) == 12, "the rewind")
    rig.idle()
    assert len(rig.pauses) == pauses  # a commit between them starts over


@pytest.mark.parametrize("where", ["begin_failures", "send_failures", "commit_failures"])
def test_any_other_refusal_ends_the_stage_and_nothing_is_final(rig: PublishRig, where: str) -> None:
    failure = KafkaProblem("fenced")
    getattr(rig.sink, where).append(failure)
    rig.put(tagged(0))
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.failure is failure
    assert rig.sink.closed
    assert rig.broker.final == []


def test_an_abort_that_fails_ends_the_stage(rig: PublishRig) -> None:
    rig.sink.commit_failures.append(AbortableError("lost"))
    rig.sink.abort_failure = KafkaProblem("fenced")
    rig.put(tagged(0))
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.failure is rig.sink.abort_failure
    assert rig.sink.closed
    assert rig.rewinds == []


def test_messages_out_of_order_end_the_stage_before_a_commit(rig: PublishRig) -> None:
    rig.put(tagged(1), tagged(0))
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, RuntimeError)
    assert "out of order" in str(rig.stage.failure)
    assert rig.broker.final == []
    assert rig.sink.closed


def test_too_many_dead_letters_end_the_stage_uncommitted() -> None:
    rig = PublishRig(DeadLetterLimit(0.5, 4))
    rig.assign(p0=1)
    rig.start()
    rig.put(rejected(0), rejected(1), rejected(2), tagged(3))
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, DeadLetterLimitExceeded)
    assert rig.broker.final == []
    assert rig.sink.closed


def test_a_message_rejected_while_sending_counts_for_the_limit() -> None:
    rig = PublishRig(DeadLetterLimit(0.0, 1))
    rig.sink.client_max_bytes = {"out": 5}
    rig.assign(p0=1)
    rig.start()
    rig.put(tagged(0))
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, DeadLetterLimitExceeded)


def test_an_abort_at_the_end_is_not_taken_for_a_drain(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.sink.commit_failures.append(AbortableError("lost"))
    failure = rig.finish()
    assert isinstance(failure, KafkaProblem)
    assert "while the worker was stopping" in str(failure)
    assert rig.broker.final == []


def test_a_rebalance_at_the_end_is_a_drain(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.sink.commit_failures.append(GroupMoved("the generation is not valid"))
    assert rig.finish() is None
    assert rig.broker.final == []
    assert rig.broker.committed == {}


def test_an_abort_that_a_later_commit_of_others_hides_is_not_taken_for_a_drain(
    rig: PublishRig,
) -> None:
    rig.sink.commit_failures.append(AbortableError("lost"))
    rig.put(tagged(0))
    eventually(lambda: rig.rewinds, "the rewind")
    rig.put(tagged(5, partition=P1))
    assert isinstance(rig.finish(), KafkaProblem)
    assert rig.broker.committed == {P1: 6}


def test_an_abort_that_was_made_good_does_not_spoil_the_end(rig: PublishRig) -> None:
    rig.sink.commit_failures.append(AbortableError("lost"))
    rig.put(tagged(0))
    eventually(lambda: rig.rewinds, "the rewind")
    rig.assign(p0=2)
    assert rig.finish() is None


def test_an_aborted_channel_commits_nothing(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.tagged.abort()
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, ChannelAborted)
    assert rig.broker.final == []
    assert [len(messages) for messages in rig.sink.aborted] == [1]
    assert rig.sink.closed


def test_a_producer_that_cannot_open_is_not_ready() -> None:
    rig = PublishRig()
    rig.sink.open_failure = KafkaProblem("no broker answers")
    rig.start()
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.failure is rig.sink.open_failure
    assert not rig.ready.is_set()
    assert rig.sink.closed
