"""HTML becomes text by the rules of the HTML standard, in time that grows with its length."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from html5lib._tokenizer import HTMLTokenizer
from html5lib.constants import tokenTypes
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.text import markup
from consumer.codec.text.elements import BLOCK, LINE, SPACE
from consumer.codec.text.markup import gaps, without_markup


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("An<b>gela</b> Merkel", "Angela Merkel"),
        ("<p>A</p><p>B</p>", f"{BLOCK}A{BLOCK}{BLOCK}B{BLOCK}"),
        ("A<br>B<BR/>C", f"A{LINE}B{LINE}C"),
        ("A<img src='x'>B", f"A{SPACE}B"),
        ("<td>A<td>B", f"{BLOCK}A{BLOCK}B"),
        ("Inflation < 2 % & falling", "Inflation < 2 % & falling"),
        ("x<y and y>z", "xz"),  # a tag begins here, to a browser as well
        ("<a title='Ann > Bob' href=\"/a>b\">C</a>", "C"),
        ("<a title=Ann>C</a>", "C"),
        ("<a ='x>y'>z", "y'>z"),  # a name may begin with an equals sign; the quote opens nothing
        ("A<!-- Ann > Bob -->B", "AB"),
        ("A<!-->B<!--->C<!---->D<!--x--!>E", "ABCDE"),
        ("A<!-- never closed", "A"),
        ("A<!DOCTYPE html>B<?xml version='1.0'?>C</>D</ x>E", "ABCDE"),
        ("A<script>if (a<b) { '</p>' }</script>B", "AB"),
        ("A<SCRIPT>x</Script >B", "AB"),
        ("A<script>x</scripts>y</script>B", "AB"),
        ("A<script><!-- <script></script> Ann --></script>B", "AB"),
        ("A<script><!--> <script></script>B", "AB"),
        ("A<script>never closed </p>", "A"),
        ("A<script src='x'/>B", "AB"),  # XHTML
        ("A<script src=x/>B</script>C", "AC"),  # the slash belongs to the value
        ("A<style>p{}</style>B", "AB"),
        ("A<iframe>x</iframe>B", f"A{SPACE}{SPACE}B"),
        ("<title>A <b> &amp; B</title>", f"{BLOCK}A <b> & B{BLOCK}"),
        ("<xmp>A <b> &amp; B</xmp>", f"{BLOCK}A <b> &amp; B{BLOCK}"),
        ("A<plaintext>B <b>", f"A{BLOCK}B <b>"),
        ("A<![CDATA[B <b> &amp; C]]>D", "AB <b> &amp; CD"),
        ("A<![CDATA[B", "AB"),
        ("A</", "A</"),
        ("A<", "A<"),
        ("A<b", "A"),
        ("A<b c='", "A"),
        ("&lt;b&gt;A&lt;/b&gt;", "<b>A</b>"),
        ("A&am<b>p;</b>B", "A&amp;B"),  # no reference: a tag stands in it
        ("A<script = b/>B", "AB"),  # a name that is an equals sign, and no value
        ("A<script c=b/>B</script>D", "AD"),
        ("A<script c= b/>B</script>D", "AD"),
        ("A<script c==/>B</script>D", "AD"),
        ("A<script c='=' />B", "AB"),
        ("A<script c='>'/>B", "AB"),
        ("A<script ='/>B", "AB"),
        ("A\x00B<b>\ud800</b>", "A\x00B\ud800"),
        ("", ""),
    ],
)
def test_html_as_text(source: str, text: str) -> None:
    assert without_markup(source) == text
    assert _by_gaps(source) == text


#: What mark-up is made of, broken in the ways in which it breaks.
_WORDS = """
< > / ! ? - = ' " & ; # a b p br x é 中 </ /> <! <!-- --> --!> <!--> <? ]]> <b> </b> <p <p> </p>
<br/> <img> &amp; &amp &notit; &#65; &#x41 <a_href=' <a_href=" <a_href= <a/ <td <script> </script>
</script <script/> <style> </style> <title> </title> <textarea> </textarea> <xmp> </xmp> <plaintext>
<iframe> </iframe> <SCRIPT <!DOCTYPE
"""
_PIECES = st.sampled_from([*(word.replace("_", " ") for word in _WORDS.split()), "\t", "\n", " "])
_MARKUP = st.lists(_PIECES, max_size=30).map("".join)


@settings(max_examples=300, deadline=None)
@given(_MARKUP | st.lists(_PIECES, max_size=30).map(" ".join))
def test_as_the_reference_implementation_reads_it(source: str) -> None:
    """html5lib is a tokenizer by the letter of the standard; it says which text there is."""
    assert _letters(without_markup(source)) == _letters(_text_by_html5lib(source))


@settings(max_examples=300, deadline=None)
@given(_MARKUP | st.text(alphabet="<>/!-=&;ab'\" \n"))
def test_both_ways_to_read_give_one_text(source: str) -> None:
    assert without_markup(source) == _by_gaps(source)


@settings(max_examples=200, deadline=None)
@given(_MARKUP)
def test_the_gaps_stand_in_order(source: str) -> None:
    at = 0
    for start, end, _, _ in gaps(source):
        assert at <= start < end <= len(source)
        at = end


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="<&")))
def test_text_without_markup_stays_as_it_is(source: str) -> None:
    assert without_markup(source) is source or without_markup(source) == source


def test_a_long_text_reads_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "<p>Ann &amp; <b>Bob</b><!-- x --></p>" * 100
    text = without_markup(source)
    monkeypatch.setattr(markup, "_AT_ONCE", 10)
    monkeypatch.setattr(markup, "_PIECES", 7)
    assert without_markup(source) == text


#: What costs a careless scanner quadratic time or a stack, by what is repeated in it.
_MONSTERS: dict[str, Callable[[int], str]] = {
    "tags that do not end": lambda n: "<a " * n,
    "tags nested": lambda n: "<b>" * n,
    "one tag": lambda n: f"<a {'b=c ' * n}>",
    "one tag that does not end": lambda n: f"<a {'b=c ' * n}",
    "blanks in a tag": lambda n: f"<a{' ' * n}",
    "slashes in a tag": lambda n: f"<a{'/' * n}",
    "equals signs in a tag": lambda n: f"<a{'= ' * n}",
    "quotes in a tag": lambda n: "<a " + '="' * n,
    "quotes that do not end": lambda n: "<a b='" * n,
    "quotes of two kinds": lambda n: "<a b='<a b=\"" * n,
    "comments that do not end": lambda n: "<!--" * n,
    "dashes in a comment": lambda n: f"<!--{'-' * n}",
    "ends of comments, nearly": lambda n: f"<!--{'--!' * n}",
    "sections that do not end": lambda n: "<![CDATA[" * n,
    "sections": lambda n: "<![CDATA[]]>" * n,
    "declarations that do not end": lambda n: "<!x" * n,
    "instructions that do not end": lambda n: "<?x" * n,
    "end tags that do not end": lambda n: "</a" * n,
    "nameless end tags": lambda n: "</ " * n,
    "less-than signs": lambda n: "<" * n,
    "ampersands": lambda n: "&" * n,
    "names of references": lambda n: "&a" * n,
    "references": lambda n: "&amp;" * n,
    "a reference's digits": lambda n: f"&#{'1' * n};",
    "a reference's letters": lambda n: f"&{'a' * n};",
    "scripts": lambda n: "<script>" * n,
    "scripts in comments": lambda n: "<script><!--" * n,
    "scripts, empty": lambda n: "<script/>" * n,
    "a script tag's blanks": lambda n: f"<script {'= ' * n}/>",
    "ends of scripts, nearly": lambda n: f"<script>{'</script' * n}",
    "titles": lambda n: "<title>" * n,
    "ends of titles, nearly": lambda n: f"<title>{'</titl' * n}",
    "titles of references": lambda n: "<title>&</title>" * n,
    "zero bytes": lambda n: "\x00<\x00" * n,
    "surrogates": lambda n: "\ud800<\udc00" * n,
}


@pytest.mark.parametrize("monster", _MONSTERS.values(), ids=_MONSTERS)
def test_nothing_is_read_twice(
    monster: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The characters that every search looks at add up to a few times the text."""
    read = 0

    class Counting:
        """A pattern that counts what its searches look at."""

        def __init__(self, pattern: re.Pattern[str]) -> None:
            self._pattern = pattern

        def _count(self, found: re.Match[str] | None, source: str, start: int, end: int) -> None:
            nonlocal read
            read += (found.end() if found else min(end, len(source))) - start

        def search(self, source: str, start: int = 0, end: int = 2**62) -> re.Match[str] | None:
            found = self._pattern.search(source, start, end)
            self._count(found, source, start, end)
            return found

        def match(self, source: str, start: int = 0) -> re.Match[str] | None:
            found = self._pattern.match(source, start)
            self._count(found, source, start, 2**62)
            return found

        def finditer(
            self, source: str, start: int = 0, end: int = 2**62
        ) -> Iterator[re.Match[str]]:
            at = start
            while (found := self.search(source, at, end)) is not None:
                yield found
                at = max(found.end(), at + 1)

    for name in ("_MARKUP", "_SKIPPED", "_IN_SCRIPT", "REFERENCE"):
        monkeypatch.setattr(markup, name, Counting(getattr(markup, name)))
    end_tag = markup._end_tag
    monkeypatch.setattr(markup, "_end_tag", lambda element: Counting(end_tag(element)))
    source = monster(2_000)
    for _ in gaps(source):
        pass
    assert read <= 4 * len(source) + 100


@pytest.mark.slow
@pytest.mark.parametrize("monster", _MONSTERS.values(), ids=_MONSTERS)
def test_a_monster_of_megabytes_is_read(monster: Callable[[int], str]) -> None:
    """None raises, and none takes hours: a pattern that tries again would not come back."""
    source = monster(100_000)
    assert len(without_markup(source)) <= 6 * len(source)


def _by_gaps(source: str) -> str:
    """The text as the map of offsets has it."""
    return "".join(markup._joined(source))


def _letters(text: str) -> str:
    """Text without what only keeps words apart, or what the reference changes in it."""
    return re.sub(r"[\s\x00�]+", "", text)


def _text_by_html5lib(source: str) -> str:
    """All text between the tags that the reference finds, as `without_markup` would show it."""
    tokenizer: Any = HTMLTokenizer(source)
    pieces: list[str] = []
    hidden = False
    states = {
        "script": "scriptDataState",
        "style": "rawtextState",
        "iframe": "rawtextState",
        "xmp": "rawtextState",
        "plaintext": "plaintextState",
        "textarea": "rcdataState",
        "title": "rcdataState",
    }
    for token in tokenizer:
        if token["type"] in (tokenTypes["Characters"], tokenTypes["SpaceCharacters"]):
            pieces += [] if hidden else [token["data"]]
        elif token["type"] == tokenTypes["StartTag"]:
            # XHTML's empty elements have no content, which HTML's have; that is our intention.
            if token["name"] in states and not token["selfClosing"]:
                hidden = token["name"] in ("script", "style", "iframe")
                # Which of a tokenizer's states comes next is for the parser to say.
                tokenizer.state = getattr(tokenizer, states[token["name"]])
        elif token["type"] == tokenTypes["EndTag"]:
            hidden = False
    return "".join(pieces)
