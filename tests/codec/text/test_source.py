"""Offsets of a text lead back to the field as it came in."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.text.source import ReadText, read_html, read_references


@pytest.mark.parametrize(
    ("source", "surface", "piece"),
    [
        ("An<b>gela</b> Merkel left", "Angela Merkel", "An<b>gela</b> Merkel"),
        ("<p><b>Angela</b> <i>Merkel</i></p>", "Angela Merkel", "Angela</b> <i>Merkel"),
        ("by Angela<!-- x --> Merkel", "Angela Merkel", "Angela<!-- x --> Merkel"),
        ("for AT&amp;T now", "AT&T", "AT&amp;T"),
        ("of &Eacute;mile Zol&aacute;, who", "Émile Zolá", "&Eacute;mile Zol&aacute;"),
        ("<p title='Ann'>Ann</p>", "Ann", "Ann"),
        ("𝒳 <b>𝒴</b>𝒵", "𝒴𝒵", "𝒴</b>𝒵"),
    ],
)
def test_a_piece_of_the_text_stands_in_the_source(source: str, surface: str, piece: str) -> None:
    text, way = read_html(source)
    start = text.index(surface)
    assert way is not None
    first, last = way.to_source(start, start + len(surface))
    assert source[first:last] == piece
    assert read_html(piece)[0] == surface


def test_references_alone_leave_tags_where_they_are() -> None:
    text, way = read_references("<b>Smith &amp; Baird</b>")
    assert text == "<b>Smith & Baird</b>"
    assert way is not None
    assert way.to_source(3, 16) == (3, 20)


def test_text_as_it_is_needs_no_way_back() -> None:
    assert read_html("Ann > Bob") == ("Ann > Bob", None)
    assert read_references("Ann > Bob <b>") == ("Ann > Bob <b>", None)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("<p>Paris</p><p>Berlin</p>", ["Paris", "Berlin"]),
        ("<h1>Paris</h1>Berlin", ["Paris", "Berlin"]),
        ("Paris<br>Berlin", ["Paris\nBerlin"]),
        ("Paris<br><br/>\n Berlin", ["Paris", "Berlin"]),
        ("Paris<br>and<br>Berlin", ["Paris\nand\nBerlin"]),
        ("Paris\n\n\nBerlin<b></b>", ["Paris\n\n\nBerlin"]),
        ("Paris <b>Berlin</b>", ["Paris Berlin"]),
        ("Paris<hr><hr>Berlin", ["Paris", "Berlin"]),
    ],
)
def test_blocks_end_what_runs_through_them(source: str, parts: list[str]) -> None:
    text, way = read_html(source)
    assert way is not None
    start, end = text.index("Paris"), text.index("Berlin") + len("Berlin")
    found = [text[first:last].strip() for first, last in way.parts(start, end)]
    assert [part for part in found if part] == parts


def test_half_a_reference_becomes_the_whole() -> None:
    text, way = read_html("x&NotEqualTilde;y")
    assert len(text) == 4
    assert way is not None
    assert way.parts(0, 2) == [(0, 3)]
    assert way.parts(2, 4) == [(1, 4)]
    assert way.to_source(1, 3) == (1, 16)


_WORDS = """
Ann é 𝒳 <b> </b> <p> <br> <br/> &amp; &NotEqualTilde; &not &#8217; <!--x--> <i_a='>'> <img> &
<script>x</script>
"""
_PIECES = st.sampled_from([*(word.replace("_", " ") for word in _WORDS.split()), "\x00", "\n", " "])


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=20).map("".join), st.data())
def test_the_piece_of_the_source_reads_as_the_piece_of_the_text(
    source: str, data: st.DataObject
) -> None:
    text, way = read_html(source)
    if way is None or not text.strip():
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for first, last in way.parts(start, end):
        surface = text[first:last].strip()
        if not surface:
            continue
        first += text[first:last].index(surface)
        source_start, source_end = way.to_source(first, first + len(surface))
        assert 0 <= source_start < source_end <= len(source)
        assert read_html(source[source_start:source_end])[0] == surface


def test_the_way_back_takes_little_memory() -> None:
    source = "<b>Ann</b> &amp; " * 20_000
    text, way = read_html(source)
    assert isinstance(way, ReadText)
    tracemalloc.start()
    try:
        way.to_source(0, len(text))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Four pieces a line of sixteen characters, three integers a piece.
    assert kept < 10 * len(source)
