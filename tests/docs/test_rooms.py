"""The rooms as the pages show them are those that import-linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def layers() -> list[set[str]]:
    """From top to bottom, as the first contract has them."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = [
        one for one in document["tool"]["importlinter"]["contracts"] if "containers" in one
    ]
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def rooms() -> set[str]:
    return {path.parent.name for path in ROOT.glob("consumer/*/__init__.py")}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_rooms_are_shown_in_their_order(page: str) -> None:
    (shown,) = re.findall(r"```\n(cli → .*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    steps = [set(re.findall(r"\w+", step)) for step in shown.split("→")]
    held = [layer for layer in layers() if layer & set().union(*steps)]
    assert len(steps) == len(held)
    for step, layer in zip(steps, held, strict=True):
        assert step <= layer
    assert rooms() <= set().union(*steps)


def test_every_room_is_described() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert set(re.findall(r"^\| \[(\w+)\]\(\.\./consumer/\1/\) \|", page, re.MULTILINE)) == rooms()
