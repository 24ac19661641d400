"""PublishStage: outcomes and offsets become final together, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode, SkipReason, TransactionOutcome
from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import TaggedBatch, Tombstone
from consumer.pipeline.channel import Channel
from consumer.pipeline.inbox import PublishMessage
from consumer.pipeline.publish import OUTCOMES, OUTCOMES_IN_COMMIT
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, raw, tagged, untagged
from tests.support.rigs.publish_rig import INTERVAL_S, PublishRig, publishing, rejected


@pytest.fixture
def rig() -> Iterator[PublishRig]:
    with publishing() as one:
        yield one


def capacity(channel: Channel[PublishMessage]) -> int | None:
    """How many items may wait now."""
    return channel._capacity


def test_every_outcome_is_published_once_in_order_with_its_offset(rig: PublishRig) -> None:
    assert rig.ready.wait(PATIENCE_S)
    rig.put(
        tagged(0, ("PER", "LOC", "PER")), rejected(1), Tombstone(raw(2, None, timestamp_ms=None))
    )
    rig.put(tagged(3, timestamp_ms=9_000), tagged(0, (), partition=P1))
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 4, P1: 1}
    assert rig.broker.outcomes(P0) == [0, 1, 2, 3]
    assert [message.topic for message in rig.broker.final] == ["out", "dead", "out", "out", "out"]
    seen = rig.observer
    assert (seen.published, seen.tombstones, seen.untagged) == (3, 1, {})
    assert seen.rejected == {RejectCode.NO_TEXT: 1}
    assert seen.entities == {"PER": 3, "LOC": 1}
    # Kafka's times are 1 s and 9 s, the commit's is 5 s.
    assert sorted(seen.latencies_s) == [-4.0, 4.0, 4.0, 4.0]
    assert rig.in_flight.messages == 0
    assert rig.in_flight.size_bytes == 0
    rig.reconcile()


def test_what_no_model_read_is_published_and_counted_by_reason(rig: PublishRig) -> None:
    rig.put(tagged(0), untagged(1), untagged(2))
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 3}
    assert [message.topic for message in rig.broker.final] == ["out"] * 3
    assert rig.observer.published == 3
    assert rig.observer.untagged == {SkipReason.NO_TEXT: 2}
    rig.reconcile()


def test_commits_at_once_when_nothing_more_can_join(rig: PublishRig) -> None:
    rig.put(tagged(0), tagged(1))
    eventually(lambda: rig.broker.committed == {P0: 2}, "the commit")
    rig.reconcile()


def test_commits_at_once_when_no_batch_is_on_its_way(rig: PublishRig) -> None:
    rig.read(tagged(9))  # read, but it will be long in coming
    rig.put(tagged(0))
    rig.sent(1)
    rig.idle()
    assert rig.broker.final == []
    rig.more_comes = False
    rig.tagged.wake()
    eventually(lambda: rig.broker.committed == {P0: 1}, "the commit")
    assert rig.in_flight.messages == 1


def test_what_waits_is_published_before_a_commit(rig: PublishRig) -> None:
    rig.more_comes = False
    rig.sink.commit_gate.clear()
    rig.read(tagged(9))
    rig.put(tagged(0))
    assert rig.sink.committing.wait(PATIENCE_S)
    rig.put(tagged(1))
    rig.put(tagged(2))
    rig.sink.commit_gate.set()
    eventually(lambda: rig.broker.committed == {P0: 3}, "the commits")
    assert rig.observer.transactions == {TransactionOutcome.COMMITTED: 2}


@pytest.mark.parametrize("failures", [[], [AbortableError("refused")]])
def test_more_batches_may_wait_during_a_commit(rig: PublishRig, failures: list[Exception]) -> None:
    rig.more_comes = False
    rig.sink.commit_gate.clear()
    rig.sink.commit_failures.extend(failures)
    rig.read(tagged(9))
    rig.put(tagged(0))
    assert rig.sink.committing.wait(PATIENCE_S)
    for _ in range(OUTCOMES_IN_COMMIT):
        assert rig.tagged.has_room
        rig.tagged.put(TaggedBatch(()))
    assert not rig.tagged.has_room
    rig.sink.commit_gate.set()
    eventually(lambda: rig.observer.transactions, "the end of the commit")
    rig.idle()
    assert capacity(rig.tagged) == OUTCOMES


def test_batches_within_the_interval_share_a_transaction(rig: PublishRig) -> None:
    waiting = tagged(9)
    rig.read(waiting)
    rig.put(tagged(0))
    rig.put(tagged(1))
    rig.sent(2)
    rig.idle()
    assert rig.broker.final == []
    rig.clock.advance(INTERVAL_S)
    rig.tagged.wake()
    eventually(lambda: rig.broker.committed == {P0: 2}, "the commit")
    assert rig.observer.transactions == {TransactionOutcome.COMMITTED: 1}
    assert rig.in_flight.messages == 1
    rig.reconcile()


def test_a_device_slower_than_the_interval_adds_no_waiting(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.idle()
    assert rig.broker.final == []
    rig.clock.advance(INTERVAL_S + 1)
    rig.put(tagged(1))
    eventually(lambda: rig.broker.committed == {P0: 2}, "the commit")
    rig.clock.advance(INTERVAL_S + 1)
    rig.put(tagged(2))
    eventually(lambda: rig.broker.committed == {P0: 3}, "the commit, at once")


def test_the_end_commits_what_is_open(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 1}
