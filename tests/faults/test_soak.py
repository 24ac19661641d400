"""The soak in short, and that it sees what a worker leaves behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.faults.checker.leftovers import files_left
from tests.faults.long_runs.process_figures import Figures
from tests.faults.long_runs.through_worker import Passage, Sample
from tests.faults.soak import SoakTraffic, faults_of, main, soak, steadiness
from tests.faults.workers.spoiled_worker import PART_SPOILS, SIDE_EFFECTS

MESSAGES = 6_000

#: In a short run the worker still takes what it needs once; a leak of 20 KiB a message is more.
SHORT_GROWTH_LIMIT = 0.6


def sample(resolved: int, mebibytes: float, threads: int = 18, descriptors: int = 26) -> Sample:
    resident = int(mebibytes * 2**20)
    return Sample(resolved, resolved / 10, Figures(resident, resident, threads, descriptors))


STEADY = [sample(0, 58), sample(99, 100), sample(101, 70), sample(500, 104.9), sample(950, 90)]


def test_a_worker_leaves_nothing_behind(
    kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    page = tmp_path / "soak.md"
    limit = str(SHORT_GROWTH_LIMIT)
    code = main(("--messages", str(MESSAGES), "--growth-limit", limit, "--record", str(page)))
    assert code == 0, capsys.readouterr().err
    assert page.read_text().startswith("# Soak\n")
    assert "| outcomes | 5,940 `enriched`, 60 `invalid_json` |\n" in page.read_text()


def test_what_is_broken_is_told_and_not_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere:9")
    broken = Passage({"enriched": 9}, ["memory grew: 7.0% after the first tenth"])
    monkeypatch.setattr("tests.faults.soak.soak", lambda *_, **__: broken)
    page = tmp_path / "soak.md"
    assert main(("--messages", "10", "--record", str(page))) == 1
    assert "soak: memory grew: 7.0% after the first tenth\n" in capsys.readouterr().err
    assert not page.exists()


def test_it_sees_all_that_a_worker_can_leave_behind(kafka: str) -> None:
    names = ",".join((*(set(SIDE_EFFECTS) - {"die"}), *PART_SPOILS, "late"))
    command = ("-m", "tests.faults.workers.spoiled_worker", names)
    passage = soak(kafka, SoakTraffic(MESSAGES), command=command, growth_limit=SHORT_GROWTH_LIMIT)
    assert passage.sorts == {
        "out of order",
        "memory grew",
        "threads are left over",
        "descriptors are left over",
        "a transaction is open",
        "committed is behind",
        "a temporary file is left",
        "audit",
    }


def test_what_stays_within_the_limits_is_no_fault() -> None:
    assert faults_of(steadiness(STEADY, 1_000)) == []


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (sample(600, 105.1), "memory grew: 5.1% after the first tenth"),
        (sample(1_000, 90, threads=19), ""),
        (sample(1_000, 90, descriptors=27), ""),
    ],
)
def test_one_more_is_a_fault_only_where_it_stays(more: Sample, fault: str) -> None:
    assert "".join(faults_of(steadiness([*STEADY, more], 1_000))).startswith(fault)
    assert bool(faults_of(steadiness([*STEADY, more], 1_000))) == bool(fault)


def test_what_stays_to_the_end_is_left_over() -> None:
    grown = [*STEADY[:4], sample(950, 90, threads=19, descriptors=27)]
    assert faults_of(steadiness(grown, 1_000)) == [
        "threads are left over: 19 at the end, 18 in the first tenth",
        "descriptors are left over: 27 at the end, 26 in the first tenth",
    ]


def test_a_run_too_short_to_tell_says_so() -> None:
    with pytest.raises(ValueError, match="too short"):
        steadiness(STEADY[:4], 1_000)


def test_a_lock_that_is_held_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / f"nerstream-{os.getuid()}" / "group-0.lock"
    path.parent.mkdir()
    with path.open("wb") as lock:
        assert files_left(tmp_path) == []
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert files_left(tmp_path) == [f"a lock is held: {path.name}"]
    path.write_text("1")
    assert files_left(tmp_path) == [f"a temporary file is left: {path.relative_to(tmp_path)}"]
