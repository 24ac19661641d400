"""The pages that show the matrix hold what its last run recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.report import Entry, page, short_table, write_again
from tests.faults.rows import ROWS
from tests.integration.kafka_server import ROOT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((ROOT / "docs/notes/faults.json").read_text("utf-8"))
    return recorded


def test_the_page_is_the_recorded_run(document: dict[str, Any]) -> None:
    assert (ROOT / "docs/notes/faults.md").read_text("utf-8") == page(document)


def test_the_page_of_guarantees_shows_the_recorded_run(document: dict[str, Any]) -> None:
    assert short_table(document) in (ROOT / "docs/guarantees.md").read_text("utf-8")


def test_the_recorded_run_is_of_every_row_in_every_mode(document: dict[str, Any]) -> None:
    recorded = [(one["row"], one["delivery"]) for one in document["rows"]]
    assert sorted(recorded) == sorted((row.name, mode) for row in ROWS for mode in row.deliveries)


def test_the_short_table_adds_up_by_kind() -> None:
    def line(row: str, delivery: str, doubled: int, longest: float | None) -> dict[str, Any]:
        return {
            "row": row,
            "delivery": delivery,
            "messages": 1500,
            "faults": 2,
            "lost": 1,
            "doubled": doubled,
            "recovery_max_s": longest,
        }

    rows = [
        line("killed", "exactly_once", 4, 2.5),
        line("killed", "at_least_once", 5, 7.5),
        line("stopped", "exactly_once", 8, None),
    ]
    table = short_table({"rows": rows}).splitlines()
    assert len(table) == 3
    assert table[2] == "| worker | 2 | 6 | 4,500 | 3 | 12 | 5 | 7.5 s |"


def test_rows_that_were_run_again_take_their_places_and_are_named(
    document: dict[str, Any], tmp_path: Path
) -> None:
    whole = [{**one, "again": None, "violations": []} for one in document["rows"]]
    red = {**document, "rows": whole}
    place = next(i for i, one in enumerate(red["rows"]) if one["row"] == "cut")
    red["rows"][place] = {**red["rows"][place], "violations": ["lost: message 7 has no outcome"]}
    (tmp_path / "faults.json").write_text(json.dumps(red), "utf-8")
    assert "(**violated**)" in page(red)
    assert "Run by themselves" not in page(red)

    delivery = red["rows"][place]["delivery"]
    newer = Entry("cut", delivery, 9.0, 4_321, 5, 0, 0, 0, 0.5, 1.0, ())
    write_again(tmp_path, [newer], "2026-12-24")

    written = json.loads((tmp_path / "faults.json").read_text("utf-8"))
    assert [(one["row"], one["delivery"]) for one in written["rows"]] == [
        (one["row"], one["delivery"]) for one in red["rows"]
    ]
    assert written["rows"][place]["messages"] == 4_321
    told = (tmp_path / "faults.md").read_text("utf-8")
    assert told == page(written)
    assert f"Run by themselves after that: connections cut (`{delivery}`, 2026-12-24)." in told
    assert "(**violated**)" not in told


def test_rows_that_are_new_join_the_record(document: dict[str, Any], tmp_path: Path) -> None:
    older = [one for one in document["rows"] if one["row"] != "remade"]
    (tmp_path / "faults.json").write_text(json.dumps({**document, "rows": older}), "utf-8")
    write_again(
        tmp_path,
        [Entry("remade", "exactly_once", 9.0, 4_321, 2, 0, 0, 0, 0.5, 1.0, ())],
        "2026-12-24",
    )
    written = json.loads((tmp_path / "faults.json").read_text("utf-8"))
    assert written["rows"][:-1] == older
    assert written["rows"][-1]["messages"] == 4_321
    assert "deleted and made again; twice" in (tmp_path / "faults.md").read_text("utf-8")
