"""The scanner in C gives the text that Python gives, or says that Python has to read it."""

from __future__ import annotations

from html.entities import html5
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.text import markup, native_markup
from consumer.codec.text.elements import BLOCK, CONTENTS
from consumer.codec.text.markup import without_markup
from consumer.codec.text.native_markup import LIBRARY, load
from hatch_build import KERNELS, MARKUP
from tests.support.deploy.deploy_files import ROOT
from tests.support.engines.native_kernels import (
    MARKUP_PIECES,
    has_compiler,
    needs_compiler,
    needs_kernel,
    run_watched,
    write_markup,
)

_found = load()
needs_scanner = pytest.mark.skipif(_found is None, reason="needs a C compiler at installation")


def _by_python(source: str) -> str:
    return "".join(markup._joined(source))


@needs_scanner
@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(MARKUP_PIECES), max_size=30).map("".join))
def test_both_give_one_text(source: str) -> None:
    assert _found is not None
    text = _found.text(source)
    assert text is None or text == _by_python(source)


@needs_scanner
@pytest.mark.parametrize("ending", ["", "x", ";", "=", " ", "&"])
def test_every_reference(ending: str) -> None:
    assert _found is not None
    for name in html5:
        source = f"&{name}{ending}"
        assert _found.text(source) == _by_python(source)


@needs_scanner
@pytest.mark.parametrize(
    "source",
    [
        *(f"A<{element}>B" for element in CONTENTS),
        *("A<!DOCTYPE html>", "A<![CDATA[B]]>", "A<?xml?>", "A</ x>", "A<!", "A<?"),
        *("A<b\u212a>", "A<bé>", "A\ud800<b>"),
    ],
)
def test_it_says_what_python_has_to_read(source: str) -> None:
    assert _found is not None
    assert _found.text(source) is None


@needs_scanner
def test_it_reads_what_articles_are_made_of() -> None:
    """Else nothing of it would be seen here but that Python reads all."""
    assert _found is not None
    source = '<p class="lead">Inês <b>Carvalho</b> &amp; Co&#8217;s<br/></p><!-- x --></script>'
    assert _found.text(source) == f"{BLOCK}Inês Carvalho & Co’s\n{BLOCK}"


@needs_scanner
def test_a_long_text_is_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _found is not None
    monkeypatch.setattr(native_markup, "_MOST_BYTES", 8)
    assert _found.text("<b>12345") == "12345"
    assert _found.text("<b>1234é") is None


def test_without_it_python_reads_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_library = tmp_path / "markup.so"
    monkeypatch.setattr(native_markup, "LIBRARY", no_library)
    assert load() is None
    no_library.write_bytes(b"no library")
    assert load() is None
    monkeypatch.setattr(markup, "_native", None)
    assert without_markup("<p>A &amp; B") == f"{BLOCK}A & B"


@needs_kernel
def test_another_library_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_markup, "LIBRARY", ROOT / KERNELS.path)
    assert load() is None


@needs_compiler
def test_it_touches_nothing_but_its_own(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    write_markup(texts, 20_000)
    assert run_watched("markup", tmp_path, str(texts)) == "20000 calls\n"


def test_the_library_stands_where_it_is_built() -> None:
    assert ROOT / MARKUP.path == LIBRARY
    assert has_compiler or not LIBRARY.exists()
