"""PublishStage: outcomes and offsets become final together, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import TaggedBatch, Tombstone
from consumer.contracts.observer import TransactionOutcome
from consumer.pipeline.channel import Channel
from consumer.pipeline.inbox import PublishMessage
from consumer.pipeline.publish import OUTCOMES, OUTCOMES_IN_COMMIT
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, raw, tagged
from tests.support.publish_rig import INTERVAL_S, PublishBench, publishing, rejected


@pytest.fixture
def bench() -> Iterator[PublishBench]:
    with publishing() as one:
        yield one


def capacity(channel: Channel[PublishMessage]) -> int | None:
    """How many items may wait now."""
    return channel._capacity


def test_every_outcome_is_published_once_in_order_with_its_offset(bench: PublishBench) -> None:
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
    # Kafka's times are 1 s and 9 s, the commit's is 5 s.
    assert sorted(seen.latencies_s) == [-4.0, 4.0, 4.0, 4.0]
    assert bench.in_flight.messages == 0
    assert bench.in_flight.size_bytes == 0
    bench.reconcile()


def test_commits_at_once_when_nothing_more_can_join(bench: PublishBench) -> None:
    bench.put(tagged(0), tagged(1))
    eventually(lambda: bench.broker.committed == {P0: 2}, "the commit")
    bench.reconcile()


def test_commits_at_once_when_no_batch_is_on_its_way(bench: PublishBench) -> None:
    bench.read(tagged(9))  # read, but it will be long in coming
    bench.put(tagged(0))
    bench.sent(1)
    bench.idle()
    assert bench.broker.final == []
    bench.more_comes = False
    bench.tagged.wake()
    eventually(lambda: bench.broker.committed == {P0: 1}, "the commit")
    assert bench.in_flight.messages == 1


def test_what_waits_is_published_before_a_commit(bench: PublishBench) -> None:
    bench.more_comes = False
    bench.sink.commit_gate.clear()
    bench.read(tagged(9))
    bench.put(tagged(0))
    assert bench.sink.committing.wait(PATIENCE_S)
    bench.put(tagged(1))
    bench.put(tagged(2))
    bench.sink.commit_gate.set()
    eventually(lambda: bench.broker.committed == {P0: 3}, "the commits")
    assert bench.observer.transactions == {TransactionOutcome.COMMITTED: 2}


@pytest.mark.parametrize("failures", [[], [AbortableError("refused")]])
def test_more_batches_may_wait_during_a_commit(
    bench: PublishBench, failures: list[Exception]
) -> None:
    bench.more_comes = False
    bench.sink.commit_gate.clear()
    bench.sink.commit_failures.extend(failures)
    bench.read(tagged(9))
    bench.put(tagged(0))
    assert bench.sink.committing.wait(PATIENCE_S)
    for _ in range(OUTCOMES_IN_COMMIT):
        assert bench.tagged.has_room
        bench.tagged.put(TaggedBatch(()))
    assert not bench.tagged.has_room
    bench.sink.commit_gate.set()
    eventually(lambda: bench.observer.transactions, "the end of the commit")
    bench.idle()
    assert capacity(bench.tagged) == OUTCOMES


def test_batches_within_the_interval_share_a_transaction(bench: PublishBench) -> None:
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


def test_a_device_slower_than_the_interval_adds_no_waiting(bench: PublishBench) -> None:
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


def test_the_end_commits_what_is_open(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    assert bench.finish() is None
    assert bench.broker.committed == {P0: 1}
