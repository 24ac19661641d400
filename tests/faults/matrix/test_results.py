"""Results are kept from piece to piece of a run, and each run is made by one process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tests.faults.matrix.entry import Entry
from tests.faults.matrix.result import Result
from tests.faults.matrix.results import Results, Run
from tests.faults.rows.table import BY_NAME

RUN = Run(BY_NAME["cut"], "exactly_once", 2)
OTHER = Run(BY_NAME["cut"], "exactly_once", 3)


def _entry(run: Run) -> Entry:
    return Entry.of(*run, "2026-12-23 10:00", 9.0, Result(messages=7, recoveries_s=[1.0, 2.0]))


def test_what_was_kept_is_there_in_the_next_piece(tmp_path: Path) -> None:
    assert Results(tmp_path / "kept").is_empty
    kept = replace(_entry(RUN), violations=("lost: message 7 has no outcome",))
    Results(tmp_path / "kept").keep(RUN, kept)
    later = Results(tmp_path / "kept")
    assert (later.is_empty, later.has(RUN), later.has(OTHER)) == (False, True, False)
    assert later.of([OTHER, RUN]) == [kept]


def test_a_run_is_made_by_one_process_and_once(tmp_path: Path) -> None:
    one, other = Results(tmp_path), Results(tmp_path)
    with one.claimed(RUN) as first, other.claimed(RUN) as second, other.claimed(OTHER) as third:
        assert (first, second, third) == (True, False, True)
    # Who claimed it has not done it.
    with other.claimed(RUN) as again:
        assert again
        other.keep(RUN, _entry(RUN))
    with one.claimed(RUN) as late:
        assert not late


def test_the_claim_of_a_process_that_dies_ends_with_it(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        with Results(tmp_path).claimed(RUN):
            os._exit(0)
    os.waitpid(child, 0)
    with Results(tmp_path).claimed(RUN) as is_ours:
        assert is_ours
