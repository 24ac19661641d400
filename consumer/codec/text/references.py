"""Character references: `&amp;`, `&#8217;`, `&#x2019;`, as the HTML standard reads them in text."""

from __future__ import annotations

import re
from html.entities import html5

#: What may be a reference. The standard's longest name has 31 letters and its semicolon, so that no
#: more of a text than that is looked at from any `&`, and what is found fits in a cache.
REFERENCE = re.compile(
    r"(&(?:#(?:[0-9]++|[xX][0-9a-fA-F]++);?|[a-zA-Z][a-zA-Z0-9]{0,30}+;?))", re.ASCII
)

#: The longest name that the standard takes without a semicolon, `&Aacute` among them.
_LONGEST_BARE_NAME = max(len(name) for name in html5 if not name.endswith(";"))

#: Code points that no number may ask for stand as this one.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LAST_CODE_POINT = 0x10FFFF

#: More digits than these make no code point; leading zeros do not count.
_MOST_DIGITS = 7

#: Entries, and characters of a reference, that are kept.
_CACHED_REFERENCES = 4_096
_CACHED_CHARACTERS = 40


def resolve(reference: str) -> tuple[str, int]:
    """What a match of `REFERENCE` stands for, and how many of its characters say so.

    A name that the standard does not know stands for itself: `("&", 1)`. Of `&notit;` only `&not`
    counts, as in browsers.
    """
    if reference[1] == "#":
        return _of_number(reference[2:].removesuffix(";")), len(reference)
    name = reference[1:]
    if name in html5:
        return html5[name], len(reference)
    for length in range(min(len(name), _LONGEST_BARE_NAME), 1, -1):
        if name[:length] in html5:
            return html5[name[:length]], length + 1
    return "&", 1


def _of_number(digits: str) -> str:
    """The character of `8217` or `x2019`."""
    base = 10
    if digits[0] in "xX":
        digits, base = digits[1:], 16
    digits = digits.lstrip("0")
    # Python reads no decimal number of more than 4,300 digits, and longer ones in quadratic time.
    if not digits or len(digits) > _MOST_DIGITS:
        return _REPLACEMENT
    number = int(digits, base)
    if number > _LAST_CODE_POINT or 0xD800 <= number <= 0xDFFF:
        return _REPLACEMENT
    if 0x80 <= number <= 0x9F:
        # The standard reads these as Windows wrote them: `&#146;` is an apostrophe.
        return bytes((number,)).decode("cp1252", errors="ignore") or chr(number)
    return chr(number)


class _Known(dict[str, str | None]):
    """What stands between `&` and `;` -> the text of that reference; None where it is none."""

    def __missing__(self, name: str) -> str | None:
        reference = f"&{name};"
        text: str | None = None
        if REFERENCE.fullmatch(reference):
            text, length = resolve(reference)
            if length < len(reference):
                text = None
        if len(name) <= _CACHED_CHARACTERS and len(self) < _CACHED_REFERENCES:
            self[name] = text
        return text


# Texts have the same few again and again.
_known = _Known()


def without_references(text: str) -> str:
    """A text with every reference resolved."""
    first, *others = text.split("&")
    pieces = [first]
    for other in others:
        name, semicolon, rest = other.partition(";")
        character = _known[name] if semicolon else None
        if character is None:
            # One without a semicolon, or an ampersand that is one; the slow way takes all.
            return _without_any(text)
        pieces += (character, rest)
    return "".join(pieces)


def _without_any(text: str) -> str:
    pieces = REFERENCE.split(text)
    pieces[1::2] = [_text_of(reference) for reference in pieces[1::2]]
    return "".join(pieces)


def _text_of(reference: str) -> str:
    text, length = resolve(reference)
    return text + reference[length:]
