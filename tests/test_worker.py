"""Worker: from a broker in memory and back, through every stage; nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from consumer.contracts.choices import RejectCode, ReleaseReason, TransactionOutcome
from consumer.contracts.errors import (
    AbortableError,
    DeadLetterLimitExceeded,
)
from consumer.pipeline.waiting import FIRST_S, LEAST_S
from tests.support.fakes import P0, P1, PATIENCE_S, ManualClock, eventually
from tests.support.rigs.worker_rig import Rigs, WorkerRig, workers


@pytest.fixture
def rigs() -> Iterator[Rigs]:
    with workers() as make:
        yield make


@pytest.fixture
def rig(rigs: Rigs) -> WorkerRig:
    return rigs()


def test_every_message_has_one_outcome_in_the_order_of_its_partition(rig: WorkerRig) -> None:
    values = [b"Ada", b"bad", None, b"untokenizable", b"nan", b"Grace and Alan"]
    for _ in range(50):
        rig.broker.feed(*values)
        rig.broker.feed(b"Ada", None, partition=P1, key=None)
    rig.broker.mark()
    rig.start()
    rig.committed(p0=300, p1=100)
    rig.drain()
    assert rig.broker.outcomes(P0) == list(range(300))
    assert rig.broker.outcomes(P1) == list(range(100))
    seen = rig.observer
    assert (seen.published, seen.tombstones) == (150, 100)
    assert seen.rejected == {
        RejectCode.INVALID_JSON: 50,
        RejectCode.TOKENIZATION_FAILED: 50,
        RejectCode.NOT_A_NUMBER: 50,
    }
    assert seen.entities == {"PER": 200}
    assert seen.consumed_messages == 400
    outputs = rig.broker.values("articles-tagged")
    assert outputs.count(b"Grace and Alan|Grace,Alan|fake") == 50
    assert outputs.count(None) == 100


def test_small_batches_and_bounds_change_nothing(rigs: Rigs) -> None:
    rig = rigs(batch_tokens=3, batch_articles=2, in_flight_articles=5, commit_interval_ms=0)
    rig.broker.feed(*[b"one", b"two words", b"one more than three words"] * 40)
    rig.start()
    rig.committed(p0=120)
    rig.drain()
    assert rig.broker.outcomes(P0) == list(range(120))
    assert [len(batch) for batch in rig.tagger.batches if len(batch) > 2] == []
    assert rig.observer.most_in_flight <= 5


def test_a_busy_device_pauses_the_reading(rigs: Rigs) -> None:
    rig = rigs(in_flight_articles=10)
    rig.tagger.gate.clear()
    rig.broker.feed(*[b"Ada"] * 30)
    rig.start()
    eventually(lambda: rig.observer.pauses == [True], "the pause")
    assert rig.observer.consumed_messages == 10
    rig.tagger.gate.set()
    rig.committed(p0=30)
    assert rig.observer.pauses[:2] == [True, False]
    rig.drain()


def test_after_an_abort_the_model_is_not_busy_with_what_is_read_again(rigs: Rigs) -> None:
    rig = rigs(batch_articles=1)
    rig.sink.commit_gate.clear()
    rig.tagger.shut_after = 2
    rig.sink.commit_failures.append(AbortableError("a broker went away"))
    texts = [f"Ada {number}" for number in range(40)]
    rig.broker.feed(*(text.encode() for text in texts))
    rig.start()
    assert rig.sink.committing.wait(PATIENCE_S)
    # One is in the transaction, one behind it; all the others wait for the model.
    eventually(lambda: rig.observer.consumed_messages == 40, "all are in flight")
    rig.sink.commit_gate.set()
    eventually(lambda: rig.observer.consumed_messages > 40, "they are read again")
    rig.tagger.gate.set()
    rig.committed(p0=40)
    rig.drain()
    tagged = Counter(text for batch in rig.tagger.batches for text in batch)
    assert tagged.keys() == set(texts)
    # Those that had begun, and the one that the model held.
    assert tagged.total() <= 40 + 3
    assert rig.observer.releases[ReleaseReason.REWOUND] == 40


def test_aborted_transactions_are_read_again(rig: WorkerRig) -> None:
    rig.sink.commit_failures.extend(AbortableError(f"lost {n}") for n in range(3))
    rig.sink.send_failures.extend([None, None, AbortableError("lost while sending")])
    rig.sink.begin_failures.append(AbortableError("lost while beginning"))
    rig.broker.feed(*[b"Ada"] * 20)
    rig.broker.feed(*[b"Grace"] * 20, partition=P1)
    rig.start()
    rig.committed(p0=20, p1=20)
    rig.drain()
    assert rig.broker.outcomes(P0) == list(range(20))
    assert rig.broker.outcomes(P1) == list(range(20))
    assert rig.observer.transactions[TransactionOutcome.ABORTED] == 5
    assert rig.observer.releases[ReleaseReason.REWOUND] > 0
    assert rig.observer.published == 40


def test_what_the_broker_refuses_as_too_large_becomes_a_dead_letter(rig: WorkerRig) -> None:
    rig.sink.broker_max_bytes = {"articles-tagged": 50}
    rig.broker.feed(b"Ada", b"x" * 60, b"Grace")
    rig.start()
    rig.committed(p0=3)
    rig.drain()
    assert rig.broker.outcomes(P0) == [0, 1, 2]
    assert rig.broker.values("articles-dead-letters") == [b"x" * 60]
    assert rig.observer.rejected == {RejectCode.TOO_LARGE: 1}


def test_too_many_dead_letters_end_the_worker(rigs: Rigs) -> None:
    rig = rigs(dead_letter_max_ratio=0.5, dead_letter_window_messages=10)
    rig.broker.feed(*[b"bad"] * 10)
    rig.start()
    with pytest.raises(DeadLetterLimitExceeded, match="10 of the last 10"):
        rig.result()
    assert rig.broker.committed == {}
    assert rig.source.closed


def test_state_tells_readiness_and_why_not(rigs: Rigs) -> None:
    rig = rigs()
    state = rig.worker.state()
    assert (state.alive, state.ready) == (True, False)
    assert state.reasons == ("the producer is not ready", "no partition is assigned")
    rig.start()
    eventually(lambda: rig.worker.state().ready, "ready")
    assert rig.worker.state().reasons == ()
    assert rig.source.lose(P0, P1).wait(PATIENCE_S)
    assert rig.worker.state().reasons == ("no partition is assigned",)
    rig.source.waits_for = ["the topic articles is gone"]
    assert rig.worker.state().reasons == (
        "no partition is assigned",
        "the topic articles is gone",
    )
    # No restart brings it back.
    assert rig.worker.state().alive
    rig.drain()
    assert "the worker is stopping" in rig.worker.state().reasons
    assert rig.worker.state().alive


def test_the_reasons_are_told_where_they_are_known(rigs: Rigs) -> None:
    rig = rigs()
    rig.sink.why_not_open, rig.source.why_no_partition = "no coordinator", "none left"
    assert rig.worker.state().reasons == (
        "the producer is not ready: no coordinator",
        "no partition is assigned: none left",
    )


def test_working_is_logged_when_it_works_and_until_then_what_is_waited_for(
    rigs: Rigs,
) -> None:
    clock = ManualClock()
    rig = rigs(clock)
    rig.sink.open_gate.clear()
    rig.source.give_nothing()
    with structlog.testing.capture_logs() as lines:

        def told() -> list[tuple[str, list[str] | None]]:
            return [
                (line["event"], line.get("waits_for"))
                for line in lines
                if line["event"] in ("working", "not working yet", "producer ready")
            ]

        rig.start()
        eventually(lambda: rig.asked_for_signals > 3, "it waits")
        assert told() == []
        clock.advance(FIRST_S)
        expected: list[tuple[str, list[str] | None]] = [
            ("not working yet", ["the producer is not ready", "no partition is assigned"])
        ]
        eventually(lambda: told() == expected, "it says so")
        rig.sink.open_gate.set()
        expected.append(("producer ready", None))
        eventually(lambda: told() == expected, "the producer")
        rig.source.why_no_partition = "none left"
        clock.advance(LEAST_S)
        expected.append(("not working yet", ["no partition is assigned: none left"]))
        eventually(lambda: told() == expected, "the reason")
        rig.source.assign(P0)
        expected.append(("working", None))
        eventually(lambda: told() == expected, "it works")
        clock.advance(10_000)
        assert rig.source.lose(P0).wait(PATIENCE_S)
        asked = rig.asked_for_signals
        eventually(lambda: rig.asked_for_signals > asked + 3, "later")
        assert told() == expected
    rig.drain()


def test_an_offset_that_a_late_commit_has_taken_back_is_committed_once_more(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, delivery="at_least_once")
    rig.broker.feed(b"Ada")
    rig.start()
    rig.committed(p0=1)
    rig.broker.committed[P0] = 0

    def is_back() -> bool:
        clock.advance(1)
        return rig.broker.committed[P0] == 1

    eventually(is_back, "it is committed again")
    rig.drain()


def test_a_publisher_that_waits_for_brokers_turns_health_red_and_goes_on(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, stall_timeout_s=60)
    rig.start()
    eventually(lambda: rig.worker.state().ready, "ready")
    clock.advance(1_000)  # nothing to do, however long, is no stall
    eventually(lambda: rig.worker.state().alive, "alive while idle")
    rig.sink.commit_gate.clear()
    rig.broker.feed(b"Ada")
    assert rig.sink.committing.wait(PATIENCE_S)
    clock.advance(60)
    eventually(lambda: rig.worker.state().alive, "alive within the bound")
    clock.advance(1)
    eventually(
        lambda: (
            rig.worker.state().reasons
            == ("stage publish has made no progress for 61 s (stall_timeout_s=60)",)
        ),
        "the stall",
    )
    assert not rig.worker.state().alive
    rounds = rig.asked_for_signals
    eventually(lambda: rig.asked_for_signals > rounds + 2, "the worker waits on")
    rig.sink.commit_gate.set()
    eventually(lambda: rig.worker.state().alive, "alive again")
    rig.committed(p0=1)
    rig.drain()


def test_a_worker_that_waits_for_the_registry_says_so_and_loses_nothing(rigs: Rigs) -> None:
    rig = rigs(shutdown_timeout_s=PATIENCE_S)
    rig.codec.missing = "the registry is away"
    rig.broker.feed(b"Ada", b"Bo")
    rig.start()
    eventually(lambda: rig.worker.state().reasons == ("the registry is away",), "it says so")
    assert rig.worker.state().alive
    rig.codec.missing = ""
    rig.committed(p0=2)
    assert rig.worker.state().ready
    rig.drain()


def test_a_worker_that_waits_for_the_registry_ends_in_time(rigs: Rigs) -> None:
    """What it holds is let go, and read again by the next one."""
    rig = rigs(shutdown_timeout_s=4.0)
    rig.codec.missing = "the registry is away"
    rig.broker.feed(b"Ada", b"Bo")
    rig.start()
    eventually(lambda: rig.worker.state().reasons == ("the registry is away",), "it says so")
    rig.drain()
    assert rig.broker.committed == {}
