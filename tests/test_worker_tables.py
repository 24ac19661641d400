"""The tables of the performance page are what the recorded runs say."""

from __future__ import annotations

from pathlib import Path

from bench.worker_tables import filled

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_has_the_figures_of_the_runs() -> None:
    pages = [
        text
        for text in (page.read_text("utf-8") for page in sorted(DOCS.glob("performance*.md")))
        if "<!-- begin end_to_end -->" in text
    ]
    assert pages
    for page in pages:
        assert filled(page) == page


def test_a_table_takes_the_place_of_what_stood_between_its_marks() -> None:
    page = "a\n<!-- begin machines -->\nold\n<!-- end machines -->\nb"
    lines = filled(page).splitlines()
    assert (lines[0], lines[-1]) == ("a", "b")
    assert "old" not in lines
    assert len(lines) > 4
