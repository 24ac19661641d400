"""The tests that are named for a parallel run, and for a fast one, are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import scheduling
from tests.support.scheduling import Scheduling
from tests.support.slow import SLOW, why_slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("start", SLOW)
def test_what_is_slow_is_there(start: str) -> None:
    file, _, name = start.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / file).read_text()


def test_a_test_is_slow_by_how_its_name_begins() -> None:
    name = "tests/tagging/model/test_bert.py::test_the_worker_starts_without_the_modelling_code"
    assert why_slow(f"{name}[auto]") == "starts processes that import torch"
    assert why_slow("tests/tagging/model/test_bert.py::test_another") is None


@pytest.mark.parametrize("file", scheduling._ALONE)
def test_a_file_that_is_taken_apart_is_there(file: str) -> None:
    assert (ROOT / file).exists()


def test_files_stay_whole_but_those_that_are_named() -> None:
    def unit(test: str) -> str:
        return Scheduling._split_scope(None, test)  # type: ignore[arg-type]

    assert unit("tests/test_cli.py::test_version") == "tests/test_cli.py"
    alone = "tests/integration/worker/test_worker.py::test_kill_in_mid_run[a::b]"
    assert unit(alone) == alone
