"""The fuzz run in short, and that it sees what is wrong with a worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.fuzz import FuzzTraffic, fuzz, main
from tests.faults.long_runs.through_worker import Passage
from tests.faults.messages.message_oracle import ENRICHED
from tests.faults.messages.mutations import LARGE_PERIOD, MUTATIONS, kind_of, message
from tests.faults.workers.spoiled_worker import LETTER_SPOILS, OUTPUT_SPOILS

MESSAGES, SEED = 3_000, 20_261_124

#: Below the first large message.
FEW = LARGE_PERIOD // 4 - 1


def test_each_bad_or_odd_message_has_the_one_outcome_that_is_right(
    kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    page = tmp_path / "fuzz.md"
    asked = ("--messages", str(MESSAGES), "--seed", str(SEED), "--record", str(page))
    code = main(asked)
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "3,000 of 3,000 messages" in shown.err
    rows = dict(re.findall(r"^\| outcome `(\w+)` \| ([\d,]+) \|$", page.read_text(), re.MULTILINE))
    counts = {kind: int(count.replace(",", "")) for kind, count in rows.items()}
    assert sum(counts.values()) == MESSAGES
    assert counts[ENRICHED] > MESSAGES / 3
    assert len(counts) == 12, "each code that a message can bring about by itself"


def test_a_broken_invariant_is_told_with_the_seed_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere:9")
    broken = Passage({"enriched": 9}, ["lost: 1 messages, the first [4]"])
    monkeypatch.setattr("tests.faults.fuzz.fuzz", lambda *_, **__: broken)
    page = tmp_path / "fuzz.md"
    assert main(("--messages", "10", "--seed", "77", "--record", str(page))) == 1
    assert "fuzz: lost: 1 messages, the first [4]\nfuzz: broken; again with --seed 77\n" in (
        capsys.readouterr().err
    )
    assert not page.exists()


def test_every_mutation_has_been_among_the_messages() -> None:
    assert {kind_of(SEED, number) for number in range(MESSAGES)} == set(MUTATIONS)


def test_a_message_is_the_same_each_time_it_is_made() -> None:
    first = [message(7, number) for number in range(300)]
    assert [message(7, number) for number in reversed(range(300))] == first[::-1]
    assert [message(8, number) for number in range(300)] != first


def test_it_sees_every_way_in_which_messages_can_be_spoiled(kafka: str) -> None:
    names = ",".join((*OUTPUT_SPOILS, *LETTER_SPOILS))
    command = ("-m", "tests.faults.workers.spoiled_worker", names)
    passage = fuzz(kafka, FuzzTraffic(FEW, seed=1), command=command, memory_bound_bytes=1)
    assert passage.sorts == {
        "doubled",
        "lost",
        "out of order",
        "wrong outcome",
        "fields changed",
        "entities changed",
        "a dead letter names another origin",
        "bytes changed",
        "headers changed",
        "reasons changed",
        "key changed",
        "timestamp changed",
        "partition changed",
        "origin changed",
        "memory",
        "audit",
    }


def test_it_sees_a_worker_die(kafka: str) -> None:
    command = ("-m", "tests.faults.workers.spoiled_worker", "die")
    passage = fuzz(kafka, FuzzTraffic(FEW, seed=1), command=command)
    assert {"the worker died with 3", "lost"} <= passage.sorts
