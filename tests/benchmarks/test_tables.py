"""The tables of the performance pages are what the recorded runs say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.tables import gpu as gpu_tables
from benchmarks.tables import model as model_tables
from benchmarks.tables import page as tables
from benchmarks.tables.worker import filled

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_has_the_figures_of_the_runs() -> None:
    pages = [
        text
        for text in (
            page.read_text("utf-8") for page in sorted((DOCS / "notes").glob("performance*.md"))
        )
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


def test_the_tables_of_the_gpu_are_those_of_its_runs() -> None:
    page = gpu_tables.PAGE.read_text("utf-8")
    assert page.count("<!-- begin gpu_") == 4
    assert "No run is recorded" not in page
    assert gpu_tables.filled(page) == page


def test_the_tables_of_the_model_are_those_of_its_runs() -> None:
    page = (DOCS / "notes" / "performance.md").read_text("utf-8")
    assert page.count("<!-- begin model_") == 9
    assert model_tables.filled(page) == page


def test_a_run_of_the_model_becomes_a_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = {"name": "A", "precision": "bfloat16", "note": "n", "agreement": 0.99951, "f1": None}
    ratio = {"ours": "A bfloat16", "peer": "B bfloat16", "ratio": 1.1534}
    model = {
        "model": "bert-base-random",
        "engines": [{**engine, "tokens_per_s": 1234.4}],
        "ceiling": {"bfloat16": 2468.8},
        "ratio_to_best_peer": {"faithful": ratio, "fast": ratio},
        "share_of_ceiling": {"bfloat16": 0.5},
    }
    run = {"machine": "a machine", "models": [model]}
    (tmp_path / "model-bert-base.json").write_text(json.dumps(run))
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert model_tables.model_bundled() == []
    assert model_tables.model_bert_base()[-2:] == [
        "| A bfloat16 (n) | 1,234 | 1.00 | 99.95% |  |",
        "| *matmul alone, bfloat16* | 2,469 | 2.00 |  |  |",
    ]
    assert "| A bfloat16 / B bfloat16 | 1.15 | at least 1.15 |" in model_tables.model_claims()[2]
    assert "| 50%, not reached | at least 85% |" in model_tables.model_claims()[4]
