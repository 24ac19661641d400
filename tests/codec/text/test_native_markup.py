"""The scanner in C gives the text that Python gives, or says that Python has to read it."""

from __future__ import annotations

import random
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
from tests.support.deploy_files import ROOT
from tests.support.native_kernels import has_compiler, needs_compiler, needs_kernel, run_watched

_found = load()
needs_scanner = pytest.mark.skipif(_found is None, reason="needs a C compiler at installation")

#: What mark-up is made of, in the ways in which it breaks; nothing that C leaves to Python.
_PIECES = [
    *(
        "<",
        ">",
        "/",
        "-",
        "=",
        "'",
        '"',
        "&",
        ";",
        "#",
        "a",
        "b",
        "x",
        "0",
        "é",
        "中",
        "\U0001f5de",
    ),
    *(
        "</",
        "/>",
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<b>",
        "</b>",
        "<p",
        "</p>",
        "<BR/>",
        "<img ",
        "<td",
    ),
    *("&amp;", "&amp", "&notit;", "&notin;", "&ngt;", "&nGt;", "&CounterClockwiseContourIntegral;"),
    *("&#65;", "&#x41", "&#0;", "&#146;", "&#129", "&#xD800;", "&#1114112;", "&#x00000010FFFF;"),
    *("&#99999999999999999999", "<a href='", '<a b="', "<a b=", "<a/", "\t", "\n", " ", "\x00"),
]


def _by_python(source: str) -> str:
    return "".join(markup._joined(source))


@needs_scanner
@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=30).map("".join))
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


#: Reads pieces of mark-up, each in a block of exactly its length, into one of twice that.
_HARNESS = """
#include <stdio.h>
#include <stdlib.h>

static void know(const char *name, const char *text, int closed) {
    nerstream_add_element((const uint8_t *)name, strlen(name), (const uint8_t *)text, strlen(text),
                          closed);
}

int main(void) {
    know("p", "\\n\\n", 0);
    know("br", "\\n", 0);
    know("script", "", 1);
    const char *names[] = {"amp;", "amp", "not", "nGt;", "CounterClockwiseContourIntegral;"};
    const char *texts[] = {"&", "&", "\\xC2\\xAC", "\\xE2\\x89\\xAB\\xE2\\x83\\x92",
                           "\\xE2\\x88\\xB3"};
    for (int i = 0; i < 5; i++)
        nerstream_add_reference((const uint8_t *)names[i], strlen(names[i]),
                                (const uint8_t *)texts[i], strlen(texts[i]));
    FILE *file = fopen("TEXTS", "rb");
    unsigned size, count = 0;
    while (fread(&size, sizeof size, 1, file) == 1) {
        uint8_t *source = malloc(size), *text = malloc(2 * size);
        if (fread(source, 1, size, file) != size) return 1;
        ptrdiff_t length = nerstream_text_of_markup(source, size, text);
        if (length > (ptrdiff_t)(2 * size)) return 2;
        free(source);
        free(text);
        count++;
    }
    printf("%u", count);
    return 0;
}
"""


@needs_compiler
def test_it_touches_nothing_but_its_own(tmp_path: Path) -> None:
    rng = random.Random(1)
    texts = tmp_path / "texts"
    with texts.open("wb") as file:
        for _ in range(20_000):
            raw = "".join(rng.choices(_PIECES, k=rng.randrange(12))).encode()
            file.write(len(raw).to_bytes(4, "little") + raw)
    harness = _HARNESS.replace("TEXTS", str(texts))
    assert run_watched(ROOT / MARKUP.folder / "markup.c", harness, tmp_path) == "20000"


def test_the_library_stands_where_it_is_built() -> None:
    assert ROOT / MARKUP.path == LIBRARY
    assert has_compiler or not LIBRARY.exists()
