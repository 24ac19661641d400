"""The pages that show the matrix hold what its last run recorded."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.matrix.entry import Entry
from tests.faults.matrix.report import _write, machine, page, short_table, write, write_again
from tests.faults.rows.table import BY_NAME, ROWS
from tests.integration.servers.kafka_server import ROOT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((ROOT / "docs/notes/faults.json").read_text("utf-8"))
    return recorded


def test_the_page_is_the_recorded_run(document: dict[str, Any]) -> None:
    assert (ROOT / "docs/notes/faults.md").read_text("utf-8") == page(document)


def test_the_page_of_guarantees_shows_the_recorded_run(document: dict[str, Any]) -> None:
    assert short_table(document) in (ROOT / "docs/guarantees.md").read_text("utf-8")


def test_the_record_is_of_every_row_in_every_mode(document: dict[str, Any]) -> None:
    entries = [Entry.read(one) for one in document["rows"]]
    every_one = {(row.name, mode) for row in ROWS for mode in row.deliveries}
    assert {one.key[:2] for one in entries} == every_one
    assert len({one.key for one in entries}) == len(entries)
    # What a whole run lacks was run by itself since, and is told to be.
    for seed in {one.seed for one in entries if not one.again}:
        lacks = every_one - {one.key[:2] for one in entries if one.seed == seed}
        assert all(one.again for one in entries if one.key[:2] in lacks)


def test_what_was_fed_is_what_the_row_and_the_seed_say(document: dict[str, Any]) -> None:
    rows = {row.name: row for row in ROWS}
    for one in map(Entry.read, document["rows"]):
        assert one.feed == (rows[one.row].shape(one.delivery, one.seed) or ""), one.key


def entry(row: str, delivery: str = "exactly_once", seed: int = 1, **more: Any) -> Entry:
    shape = BY_NAME[row].shape(delivery, seed) or ""
    usual = Entry(
        row, delivery, seed, shape, "2026-12-23 10:00", 9.0, 1_500, 2, 0, 0, 0, 0.5, 1.0, ()
    )
    return replace(usual, **more)


def every(*seeds: int) -> list[Entry]:
    return [
        entry(row.name, mode, seed) for row in ROWS for mode in row.deliveries for seed in seeds
    ]


def test_the_short_table_adds_up_by_kind() -> None:
    rows = [
        entry("killed", lost=1, doubled=4, recovery_max_s=2.5),
        entry("killed", "at_least_once", lost=1, doubled=5, recovery_max_s=7.5),
        entry("stopped", lost=1, doubled=8, recovery_max_s=None),
    ]
    table = short_table({"rows": list(map(asdict, rows))}).splitlines()
    assert len(table) == 3
    assert table[2] == "| worker | 2 | 6 | 4,500 | 3 | 12 | 5 | 7.5 s |"


def test_only_whole_seeds_are_written(tmp_path: Path) -> None:
    assert write(tmp_path, every(1)[1:]) == ()
    assert not list(tmp_path.iterdir())
    assert write(tmp_path, [*every(1, 3), entry("cut", seed=2)]) == (1, 3)
    written = json.loads((tmp_path / "faults.json").read_text("utf-8"))
    assert {one["seed"] for one in written["rows"]} == {1, 3}
    assert (tmp_path / "faults.md").read_text("utf-8") == page(written)


def test_the_page_tells_each_seed_and_what_was_fed(tmp_path: Path) -> None:
    entries = every(1, 2, 3)
    place = next(i for i, one in enumerate(entries) if one.key == ("cut", "at_least_once", 2))
    entries[place] = replace(
        entries[place],
        began="2026-12-23 12:30",
        seconds=600.0,
        doubled=7,
        recovery_p50_s=3.0,
        recovery_max_s=12.5,
        violations=("lost: message 7 has no outcome",),
    )
    write(tmp_path, entries)
    told = (tmp_path / "faults.md").read_text("utf-8")
    shape = BY_NAME["cut"].shape
    shapes = ", ".join(f"{seed}: {shape('at_least_once', seed)}" for seed in (1, 2, 3))
    assert (
        f"| connections cut (**violated** with seed 2) | at_least_once | {shapes} | 4,500 | 6 | 0 "
        "| 0 | 0 · 7 · 0 | 0.5 s | 12.5 s |"
    ) in told
    assert "from 2026-12-23 10:00 to 2026-12-23 12:40 UTC" in told
    runs = len(entries) // 3
    assert (f"| 2 | {runs} | 1 | {1_500 * runs:,} | {2 * runs} | 0 | 0 | 0 | 7 | 12.5 s |") in told
    assert "| dead letters | 30 | 0 |" in told


def test_of_runs_before_there_were_seeds_the_day_is_told(tmp_path: Path) -> None:
    write(tmp_path, [replace(one, began="2026-11-27", feed="keyless") for one in every(0)])
    told = (tmp_path / "faults.md").read_text("utf-8")
    assert "Recorded 2026-11-27 on" in told
    assert "Seed 0 stands for runs from before there were seeds" in told
    write(tmp_path, every(1))
    assert "Seed 0" not in (tmp_path / "faults.md").read_text("utf-8")


def test_runs_that_were_made_again_take_their_places_and_are_named(tmp_path: Path) -> None:
    entries = every(1, 2)
    place = next(i for i, one in enumerate(entries) if one.key == ("cut", "exactly_once", 2))
    entries[place] = replace(
        entries[place], violations=("lost: message 7 has no outcome\nthe end of a log",)
    )
    write(tmp_path, entries)
    assert "(**violated** with seed 2)" in (tmp_path / "faults.md").read_text("utf-8")

    newer = entry("cut", seed=2, messages=4_321)
    write_again(tmp_path, [newer], "2026-12-24", "the proxy is mended")
    written = json.loads((tmp_path / "faults.json").read_text("utf-8"))
    keys = [Entry.read(one).key for one in written["rows"]]
    assert sorted(keys) == sorted(one.key for one in entries)
    (again,) = [one for one in written["rows"] if one["again"]]
    assert (again["messages"], again["seed"]) == (4_321, 2)
    told = (tmp_path / "faults.md").read_text("utf-8")
    assert (
        "Run by themselves on 2026-12-24, the proxy is mended: connections cut (`exactly_once`, "
        "seed 2, red before: lost: message 7 has no outcome)."
    ) in told
    assert "(**violated**" not in told
    # What was red stays known when it is run once more.
    write_again(tmp_path, [newer], "2026-12-25", "once more")
    assert "red before: lost: message 7" in (tmp_path / "faults.md").read_text("utf-8")
    assert "the end of a log" not in (tmp_path / "faults.json").read_text("utf-8")


def test_many_runs_for_one_reason_are_counted(tmp_path: Path) -> None:
    write(tmp_path, every(1))
    write_again(tmp_path, every(2), "2026-12-24", "fed in other shapes")
    assert (
        f"Run by themselves on 2026-12-24, fed in other shapes: {len(every(2))} runs, with seed 2; "
        "the table says which."
    ) in (tmp_path / "faults.md").read_text("utf-8")


def test_rows_that_are_new_join_the_record(tmp_path: Path) -> None:
    older = [one for one in every(1) if one.row != "remade"]
    _write(tmp_path, machine(), older)
    write_again(tmp_path, [entry("remade", messages=4_321)], "2026-12-24", "since they are new")
    written = json.loads((tmp_path / "faults.json").read_text("utf-8"))
    assert len(written["rows"]) == len(older) + 1
    told = (tmp_path / "faults.md").read_text("utf-8")
    assert "since they are new: the input topic is deleted and made again; twice" in told
