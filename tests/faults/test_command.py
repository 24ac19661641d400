"""`python -m tests.faults` in pieces: what was run is kept, what is left is run, what is red shows.

No broker is started, and no worker: a row ends at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults import __main__ as command
from tests.faults.checker.invariants import Verdict
from tests.faults.matrix.entry import Entry
from tests.faults.matrix.result import Result
from tests.faults.matrix.results import Run

Asked = Callable[..., int]


@pytest.fixture
def ran() -> list[str]:
    """Names of the runs that were made, in their order."""
    return []


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[str]) -> Asked:
    """The command on a folder of its own; `red` are names of runs that lose a message."""
    red: set[str] = set()

    @contextmanager
    def nothing() -> Iterator[None]:
        yield None

    def run(one: Run, *_: Any) -> Entry:
        ran.append(one.name)
        lines = ("lost: message 7 has no outcome",) if one.name in red else ()
        result = Result(messages=10, verdict=Verdict(len(lines), 0, lines))
        return Entry.of(*one, "2026-12-24 10:00", 1.0, result)

    notes = tmp_path / "notes"
    notes.mkdir()
    for name, value in (
        ("running_broker", nothing),
        ("running_cluster", nothing),
        ("_run", run),
        ("_NOTES", notes),
    ):
        monkeypatch.setattr(command, name, value)

    def asked(*arguments: str, lose: str = "") -> int:
        red.clear()
        red.update(lose.split())
        words = ["faults", "--kept", str(tmp_path / "kept"), *arguments]
        monkeypatch.setattr("sys.argv", words)
        return command.main()

    return asked


SOME = ("--rows", "cut", "broker_killed", "--seeds", "1", "2")
NAMES = [
    f"{row}-{mode}-{seed}"
    for seed in (1, 2)
    for row in ("cut", "broker_killed")
    for mode in ("exactly_once", "at_least_once")
]


def test_a_run_in_pieces_makes_each_row_once(
    ask: Asked, ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(*SOME, "--at-most", "3") == 3
    assert "5 are still to be run: --resume" in capsys.readouterr().out
    assert ask(*SOME) == 2
    assert "--resume goes on with it; remove the folder to begin anew" in (
        " ".join(capsys.readouterr().err.split())
    )
    assert ask(*SOME, "--resume", "--at-most", "3") == 3
    assert ask(*SOME, "--resume") == 0
    assert ran == NAMES
    assert "8 of 8 runs green" in capsys.readouterr().out
    # All of it is there: nothing more is run.
    assert ask(*SOME, "--resume") == 0
    assert ran == NAMES


def test_what_is_red_stays_red_in_the_pieces_that_follow(
    ask: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(*SOME, "--at-most", "2", lose="cut-exactly_once-1") == 1
    assert "lost: message 7 has no outcome" in capsys.readouterr().out
    assert ask(*SOME, "--resume") == 1
    out = capsys.readouterr().out
    assert "7 of 8 runs green" in out
    assert "RED cut exactly_once 1" in out


def test_the_record_is_of_whole_seeds_and_one_is_put_right_by_itself(
    ask: Asked, ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "notes" / "faults.md"
    assert ask("--seeds", "1", "2", "--at-most", "110", lose="cut-at_least_once-1") == 1
    assert "of the seeds 1" in capsys.readouterr().out
    assert ask("--seeds", "1", "2", "--resume") == 1
    assert "(**violated** with seed 1)" in page.read_text("utf-8")
    ran.clear()
    one = ("--rows", "cut", "--delivery", "at_least_once", "--seeds", "1")
    assert ask(*one, "--again", "the proxy is mended") == 0
    assert ran == ["cut-at_least_once-1"]
    told = page.read_text("utf-8")
    assert "the proxy is mended: connections cut (`at_least_once`, seed 1, red before: lost" in told
    assert "**violated**" not in told
