"""SECURITY.md names controls by their tests: each of them exists, and is a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGE = (ROOT / "SECURITY.md").read_text("utf-8")

TESTS = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


@pytest.mark.parametrize("named", TESTS)
def test_each_test_that_is_named_exists(named: str) -> None:
    file, _, function = named.partition("::")
    text = (ROOT / file).read_text("utf-8")
    assert re.search(rf"^(async )?def {function or 'test_'}", text, re.MULTILINE)


def test_each_control_has_a_test() -> None:
    table = PAGE.split("| who | what they can do |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
    assert len(rows) > 10
    for _, does, control, shown in rows:
        assert does
        # What nothing holds has no test; all else has one.
        assert bool(shown) == (not control.startswith("nothing;"))


def test_each_page_that_it_leads_to_exists() -> None:
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / link).exists(), link


def test_it_fits_on_a_page() -> None:
    assert len(PAGE.splitlines()) <= 60
