"""The fuzz run in short, and that it sees what is wrong with a worker."""

from __future__ import annotations

import pytest

from tests.faults.fuzz import FuzzTraffic, fuzz, record_of
from tests.faults.message_oracle import ENRICHED
from tests.faults.mutations import LARGE_PERIOD, MUTATIONS, kind_of, message
from tests.faults.spoiled_worker import LETTER_SPOILS, OUTPUT_SPOILS

pytestmark = pytest.mark.kafka

MESSAGES = 3_000

#: Below the first large message.
FEW = LARGE_PERIOD // 4 - 1


def sorts(faults: list[str]) -> set[str]:
    """The faults without what they say of one message."""
    return {fault.split(":", 1)[0] for fault in faults}


def test_each_bad_or_odd_message_has_the_one_outcome_that_is_right(kafka: str) -> None:
    traffic = FuzzTraffic(MESSAGES, seed=20_261_124)
    passage = fuzz(kafka, traffic)
    assert passage.faults == []
    assert sum(passage.kinds.values()) == MESSAGES
    assert passage.kinds[ENRICHED] > MESSAGES / 3
    assert len(passage.kinds) == 12, "each code that a message can bring about by itself"
    assert "3,000" in record_of(traffic, passage).table()


def test_every_mutation_has_been_among_the_messages() -> None:
    assert {kind_of(20_261_124, number) for number in range(MESSAGES)} == set(MUTATIONS)


def test_a_message_is_the_same_each_time_it_is_made() -> None:
    first = [message(7, number) for number in range(300)]
    assert [message(7, number) for number in reversed(range(300))] == first[::-1]
    assert [message(8, number) for number in range(300)] != first


def test_it_sees_every_way_in_which_messages_can_be_spoiled(kafka: str) -> None:
    names = ",".join((*OUTPUT_SPOILS, *LETTER_SPOILS))
    command = ("-m", "tests.faults.spoiled_worker", names)
    passage = fuzz(kafka, FuzzTraffic(FEW, seed=1), command=command, memory_bound_bytes=1)
    assert sorts(passage.faults) == {
        "doubled",
        "lost",
        "out of order",
        "wrong outcome",
        "wrong message",
        "a dead letter names another origin",
        "bytes changed",
        "headers changed",
        "reasons changed",
        "key changed",
        "timestamp changed",
        "partition changed",
        "memory",
    }
    told = "\n".join(passage.faults)
    assert "another field is not as it came in" in told
    assert "is not in its field" in told


def test_it_sees_a_worker_die(kafka: str) -> None:
    command = ("-m", "tests.faults.spoiled_worker", "die")
    passage = fuzz(kafka, FuzzTraffic(FEW, seed=1), command=command)
    assert {"the worker died with 3", "lost"} <= sorts(passage.faults)
