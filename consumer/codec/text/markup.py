"""HTML and XHTML as text: a scanner by the rules of the HTML standard's tokenizer.

It reads a text once, from left to right. Whatever begins a piece of mark-up also ends it, at the
latest at the end of the text, so that nothing is ever read again: time and memory grow with the
length of the text, for any text. The standard library's `html.parser` does not keep that promise,
takes ten times as long, and reads the same text differently from one patch version of Python to the
next. See docs/decisions/0021-html-by-a-scanner.md.

What is unclosed is read as browsers read it: a comment or a tag that does not end takes the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from functools import cache
from typing import TypeAlias

from consumer.codec.text.elements import (
    CONTENTS,
    NOTHING,
    REPLACEMENTS,
    Content,
    element_of,
    replacement,
)
from consumer.codec.text.native_markup import load
from consumer.codec.text.references import REFERENCE, resolve, without_references

# White space of HTML; Python's has more.
_BLANK = r"\t\n\f\r "

# From behind the name of a tag to its end. A quote counts only behind an equals sign, and that only
# behind a name, which may itself begin with one. All is possessive and nothing must follow: there
# is one way to read a tag, and it is found without trying another.
_ATTRIBUTES = (
    rf"(?:[{_BLANK}/]++"
    rf"|[^{_BLANK}/>][^{_BLANK}/>=]*+"
    rf"(?:[{_BLANK}]*+=[{_BLANK}]*+"
    rf"(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^{_BLANK}>\"'][^{_BLANK}>]*+)?+)?+"
    rf")*+(?:>|\Z)"
)
_NAME = rf"/?[a-zA-Z][^{_BLANK}/>]*+"
_TAG_NAME = re.compile(rf"<{_NAME}", re.ASCII)
#: One attribute of a whole tag.
_ATTRIBUTE = re.compile(
    rf"[^{_BLANK}/>][^{_BLANK}/>=]*"
    rf"(?:[{_BLANK}]*=[{_BLANK}]*(?:\"[^\"]*\"|'[^']*'|(?P<bare>[^{_BLANK}>\"'][^{_BLANK}>]*)))?"
)
# Without a repetition within another that is possessive: Python before 3.11.5 gets those wrong that
# may have to step back, as one that ends at `-->` would (its issue 106052).
_COMMENT = r"!--(?:-?>|(?s:.*?--!?>|.*+))"

#: A tag (its name is the first group), a comment, or the beginning of what is neither.
_MARKUP = re.compile(
    rf"<(?:({_NAME})(?:>|{_ATTRIBUTES})|{_COMMENT}|(!\[CDATA\[|[!?]|/(?!\Z)))", re.ASCII
)

#: The same for texts that have nothing but tags and comments: their names are its only group, and
#: what begins anything else is among them.
_TAGS = re.compile(
    rf"<(?:{_COMMENT}|({_NAME}|!\[CDATA\[|[!?]|/(?!\Z))(?:>|{_ATTRIBUTES}))", re.ASCII
)

#: What a browser skips as a comment: a declaration, an instruction, an end tag without a name.
_SKIPPED = re.compile(r"[^>]*+(?:>|\Z)")

# The places in a script at which a browser changes its mind whether its end tag ends it.
_IN_SCRIPT = re.compile(rf"<!--(?:-?>)?|-->|<(/?)script(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)

# A method of the dictionary itself: this is done once a tag.
_replaced: Callable[[str | None], str | None] = REPLACEMENTS.__getitem__

#: Reads most texts in a fifth of the time.
_native = load()

#: Characters above which a text is not taken apart at once: the pieces would take many times the
#: memory of the text.
_AT_ONCE = 65_536

#: Pieces of text that are put together at a time, for the same reason.
_PIECES = 8_192


#: A piece of the source that stands as something else in the text: its start and its end, code
#: points of the source; what stands for it, of tags one of those in
#: `consumer.codec.text.elements`; and whether it is a character reference, and so a part of the
#: text.
Gap: TypeAlias = tuple[int, int, str, bool]


def without_markup(source: str) -> str:
    """The text of HTML: mark-up removed, references resolved, blocks and lines apart."""
    if "<" not in source:
        return without_references(source)
    if _native is not None:
        text = _native.text(source)
        if text is not None:
            return text
    if len(source) <= _AT_ONCE:
        text = _split(source)
        if text is not None:
            return text
    return "".join(_joined(source))


def _split(source: str) -> str | None:
    """As `without_markup`, in a tenth of a gap's time; None where there is more than tags, comments
    and references in it."""
    pieces = _TAGS.split(source)
    replaced = [*map(_replaced, pieces[1::2])]
    if None in replaced:
        return None
    pieces[1::2] = replaced
    if "&" in source:
        pieces[::2] = [without_references(text) if "&" in text else text for text in pieces[::2]]
    return "".join(pieces)


def _joined(source: str) -> Iterator[str]:
    """The text, some pieces at a time."""
    pieces: list[str] = []
    at = 0
    for start, end, text, _ in gaps(source):
        pieces.append(source[at:start])
        pieces.append(text)
        at = end
        if len(pieces) >= _PIECES:
            yield "".join(pieces)
            pieces.clear()
    pieces.append(source[at:])
    yield "".join(pieces)


def gaps(source: str) -> Iterator[Gap]:
    """Everything in HTML that does not stand in the text as it is, in order."""
    at: int | None = 0
    while at is not None:
        at = yield from _gaps_from(source, at)


def _gaps_from(source: str, at: int) -> Generator[Gap, None, int | None]:
    """The gaps from a place on, to where tags begin again behind a piece without any; from there on
    the caller goes on. None at the end."""
    has_references = "&" in source
    for found in _MARKUP.finditer(source, at):
        start, end = found.span()
        if has_references and start > at:
            yield from references(source, at, start)
        at = end
        name, other = found.groups()
        if name is not None:
            text = _replaced(name)
            if text is not None:
                yield start, end, text, False
                continue
            element = element_of(name)
            yield start, end, replacement(element), False
            if not _is_closed(found[0]):
                content = CONTENTS[element]
                close = _end_of(content, element, source, end)
                yield from _content(content, source, end, close)
                return close
        elif other is None:
            yield start, end, NOTHING, False
        elif other == "![CDATA[":
            # XHTML's: text as it is. A browser that is told that this is HTML skips it, and with it
            # text that a person has written.
            yield start, end, NOTHING, False
            close = source.find("]]>", end)
            if close < 0:
                return None
            yield close, close + 3, NOTHING, False
            return close + 3
        else:
            skipped = _SKIPPED.match(source, end)
            at = skipped.end() if skipped else end
            yield start, at, NOTHING, False
            return at
    yield from references(source, at, len(source))
    return None


def references(source: str, start: int = 0, end: int | None = None) -> Iterator[Gap]:
    """The character references in a piece of a text, in order."""
    end = len(source) if end is None else end
    if source.find("&", start, end) < 0:
        return
    for found in REFERENCE.finditer(source, start, end):
        text, length = resolve(found[0])
        if length > 1:
            yield found.start(), found.start() + length, text, True


def _content(content: Content, source: str, start: int, end: int) -> Iterator[Gap]:
    """The gaps between the tags of an element inside which there are no others."""
    if content is Content.REFERENCES:
        yield from references(source, start, end)
    elif content in (Content.HIDDEN, Content.SCRIPT) and start < end:
        yield start, end, NOTHING, False


def _end_of(content: Content, element: str, source: str, start: int) -> int:
    """Where the end tag of such an element begins, or the source ends."""
    if content is Content.REST:
        return len(source)
    if content is Content.SCRIPT:
        return _end_of_script(source, start)
    found = _end_tag(element).search(source, start)
    return found.start() if found else len(source)


@cache
def _end_tag(element: str) -> re.Pattern[str]:
    # Its case is folded for the name alone, so that the search looks for a `<` first.
    letters = "".join(f"[{letter}{letter.upper()}]" for letter in element)
    return re.compile(rf"</{letters}(?=[{_BLANK}/>])")


def _end_of_script(source: str, start: int) -> int:
    """As the standard has it, for the sake of the scripts that hid from the first browsers: behind
    `<!--` and `<script`, `</script` ends only what that began."""
    is_comment = is_nested = False
    for found in _IN_SCRIPT.finditer(source, start):
        mark = found[0]
        if mark.startswith("<!--"):
            # `<!-->` begins a comment and ends it.
            is_comment, is_nested = (is_comment, is_nested) if len(mark) == 4 else (False, False)
            is_comment = is_comment or len(mark) == 4
        elif mark == "-->":
            is_comment = is_nested = False
        elif not found[1]:
            is_nested = is_comment
        elif is_nested:
            is_nested = False
        else:
            return found.start()
    return len(source)


def _is_closed(tag: str) -> bool:
    """Whether a start tag ends as XHTML's empty elements do: `<script src="..."/>`."""
    if not tag.endswith("/>"):
        return False
    # The slash of `src=a/>` belongs to the value.
    end = len(tag) - 1
    name = _TAG_NAME.match(tag)
    return name is not None and not any(
        one.end("bare") == end for one in _ATTRIBUTE.finditer(tag, name.end())
    )
