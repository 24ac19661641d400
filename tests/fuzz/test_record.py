"""What a fuzz is remembered by, also where it was run in pieces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fuzz.record import Result, known_runs, record_of, with_runs, write

RESULT = Result("json", 70_000, 174, 0.0312, 77, 21.6, "")


def test_a_run_is_told_by_its_figures() -> None:
    broken = replace(RESULT, target="html", fault="it broke")
    figures = record_of([RESULT, broken], ["json", "html", "path"]).figures
    assert figures["`json`"] == "70,000 inputs, 174 edges, slowest 31 ms, 77 MiB, 22 s"
    assert figures["`path`"] == "not run yet"
    assert figures["inputs in all"] == "140,000"
    assert figures["faults"] == "1"
    assert "atheris" in figures["versions"]


def test_pieces_of_a_target_are_one_row() -> None:
    further = replace(RESULT, seed=2, inputs=30_000, covered=180, slowest_s=0.02, seconds=8.4)
    figures = record_of([RESULT, further], ["json"]).figures
    assert figures["`json`"] == "100,000 inputs, 180 edges, slowest 31 ms, 77 MiB, 30 s"


def test_a_piece_that_is_run_again_counts_once(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert known_runs(page) == []
    write(page, [RESULT, replace(RESULT, target="html")], ["html", "json"])
    again = replace(RESULT, inputs=5)
    runs = with_runs(known_runs(page), [again, replace(RESULT, seed=2)])
    assert sorted(run.inputs for run in runs) == [5, 70_000, 70_000]
    write(page, runs, ["html", "json"])
    assert known_runs(page) == runs
    assert "140,005" in page.read_text("utf-8")
