"""Character references are read as the HTML standard reads them."""

import html
from html.entities import html5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.text.markup import references
from consumer.codec.text.references import REFERENCE, resolve, without_references


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Smith &amp; Baird", "Smith & Baird"),
        ("AT&amp;T", "AT&T"),
        ("&#8217;&#x2019;&#X2019;", "’’’"),
        ("&lt;b&gt;", "<b>"),
        ("&amp;lt;", "&lt;"),  # read once, not until nothing is left
        ("Barnes & Noble", "Barnes & Noble"),
        ("R&D", "R&D"),
        ("&", "&"),
        ("&;", "&;"),
        ("&#;&#x;", "&#;&#x;"),
        ("&unknown;", "&unknown;"),
        ("caf&eacute", "café"),  # old pages leave the semicolon out
        ("&notit; &notin;", "¬it; ∉"),
        ("&hellip", "&hellip"),  # a name of later years needs it
        ("&NotEqualTilde;", "≂̸"),  # two code points
        ("&#146;", "’"),  # as Windows wrote it
        ("&#129;", "\x81"),
        ("&#0;&#xD800;&#x110000;", "���"),
        ("&#00000000000000000065;", "A"),
        (f"&#{'9' * 5_000};", "�"),  # Python refuses to read so many digits
        (f"&#x{'f' * 5_000};", "�"),
        (f"&{'a' * 5_000};", f"&{'a' * 5_000};"),
        ("&#65", "A"),
        ("&#٣;", "&#٣;"),  # digits of other scripts make no number
    ],
)
def test_a_reference_stands_for(source: str, text: str) -> None:
    assert without_references(source) == text


def test_every_name_of_the_standard_is_read() -> None:
    for name, character in html5.items():
        assert resolve(f"&{name}") == (character, len(name) + 1)


@settings(deadline=None)
@given(st.text(alphabet="&#;xX019afnotimpl \n") | st.text())
def test_as_the_standard_library_where_it_keeps_to_the_standard(text: str) -> None:
    # It leaves out what stands for a control character, which the standard keeps; and takes any
    # digit for a digit.
    numbers = [found[0] for found in REFERENCE.finditer(text) if found[0][1] == "#"]
    if all(html.unescape(number) for number in numbers) and text.isascii():
        assert without_references(text) == html.unescape(text)


@settings(deadline=None)
@given(st.text(alphabet="&#;xX019afnotimpl \n"))
def test_the_gaps_are_where_the_text_differs(source: str) -> None:
    pieces, at = [], 0
    for start, end, text, _ in references(source):
        assert at <= start < end
        pieces += [source[at:start], text]
        at = end
    assert "".join([*pieces, source[at:]]) == without_references(source)
