"""The pictures in docs/pictures are those of their sources, and lead to files that are there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import dashboard

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SOURCE = (FOLDER / "article.dot").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """The script of the folder, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("make_pictures", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_way_of_an_article_is_drawn_from_its_source(make: ModuleType) -> None:
    drawn = (FOLDER / "article.svg").read_text(encoding="utf-8")
    assert f"article.dot sha256 {make.digest(SOURCE)}" in drawn, "run `make pictures`"


def test_what_the_picture_leads_to_is_there() -> None:
    links = re.findall(r'URL="([^"]+)"', SOURCE)
    assert len(links) >= 10
    for link in links:
        assert (FOLDER / link).exists(), link


def test_the_stages_of_the_picture_are_those_of_the_worker() -> None:
    stages = re.findall(r'consumer/pipeline/(poll|prepare|tag|publish)\.py"', SOURCE)
    assert stages == ["poll", "prepare", "tag", "publish"]


def test_the_dashboard_is_drawn_as_it_stands() -> None:
    said = f"panels sha256 {dashboard.digest(dashboard.shown_panels())}".encode()
    drawn = (FOLDER / "dashboard.png").read_bytes()
    assert said in drawn, "run `python -m benchmarks.dashboard docs/pictures/dashboard.png`"


@pytest.mark.parametrize("name", ["article.svg", "demo.svg"])
def test_a_picture_asks_no_address_for_anything(name: str) -> None:
    drawn = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?:url\(|src=|href=)[\"']?https?:", drawn)


def test_the_demo_picture_has_headlines_entities_and_figures(make: ModuleType) -> None:
    lines = [
        "60 articles, model bundled",
        " 1  Storm closes \x1b[30;102mAzores\x1b[0m airport",
        "     9 entities",
        " 2  Another headline",
        "     left out",
        "articles    57 tagged, 3 rejected",
    ]
    drawn = make.demo_svg(lines).replace("&#160;", " ")
    for shown in ("60 articles", "Azores", "9 entities", "57 tagged", ">...<"):
        assert shown in drawn
    assert "left out" not in drawn


def test_a_demo_that_fails_makes_no_picture(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(subprocess.CalledProcessError):
        make.demo_lines()


@pytest.mark.parametrize("name", ["page-light", "page-dark", "page-articles"])
def test_a_picture_of_the_page_is_a_png_of_modest_size(name: str) -> None:
    picture = (FOLDER / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture) < 200_000
