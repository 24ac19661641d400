"""The texts of a news object of IPTC's ninjs, versions 1.x, 2.x and 3.x alike.

A headline, a description or a body may stand there several times: as versions of one text, plain
and with mark-up, of which one is read, and as texts of their own, such as a sidebar, which are all
read. ninjs has no list of roles. In 1.x the end of a member's name says purpose, format or both
(`body_sidebar_xhtml`), in 2.x and 3.x a role and a media type do. So the words of a role that name
a format are told from the others, which name what the text is for: texts for one purpose in several
formats are versions of one text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from consumer.contracts.json_pointer import escaped
from consumer.contracts.messages import made

#: What a news object has texts of, and the lists that hold them from 2.x on.
KINDS = {"headline": "headlines", "description": "descriptions", "body": "bodies"}

#: In which formats they are asked for.
FORMATS = ("plain", "html")

#: What is read where there is no headline: "metadata", as the standard says.
INSTEAD_OF_HEADLINE = "title"

#: Each kind, its list, and where the first text of that is.
_LISTS = tuple((kind, plural, f"/{plural}/0/value") for kind, plural in KINDS.items())

#: How names of members begin that are texts.
_STARTS = tuple(KINDS)

#: Texts of a news object, each with its place in it, as a JSON Pointer.
Texts: TypeAlias = "list[tuple[str, str]]"

#: Ends of names that do not name a text: how long one is.
_COUNTS = frozenset({"charcount", "wordcount"})

#: Words of a role that say nothing of what a text is for.
_MAIN = frozenset({"main", ""})
_PLAIN_WORDS = frozenset({"text", "plain", "plaintext", "txt"})
_HTML_WORDS = frozenset({"rich", "richtext"})

#: Common roles of plain texts; a tuple, since a stranger's role may be of any type.
_PLAIN_ROLES = (None, "main", "text")

_WORDS = re.compile(r"[^a-z0-9]+")

#: Characters of roles and media types that are compared: they are a stranger's text.
_COMPARED = 200

#: Roles, names of members and media types that are remembered.
_REMEMBERED = 1_024

#: How a text with mark-up begins that does not say so.
_TAG = re.compile(r"\s*<(?:!--|[!?]?[A-Za-z][A-Za-z0-9]*[\s/>])")


class _Format(IntEnum):
    """In which order versions are preferred."""

    PLAIN = 0
    HTML = 1
    OTHER = 2


class _Text(NamedTuple):
    """A text that a news object has.

    Attributes:
        pointer: where it stands.
        version: which version of its text it is; equal for texts that are no versions of each
            other.
    """

    pointer: str
    value: str
    format: _Format
    purpose: tuple[str, ...]
    version: tuple[str, ...]


def texts_of(item: dict[str, Any], kind: str, text_format: str) -> Texts:
    """The texts of a news object that are read, in their order.

    Args:
        item: the news object.
        kind: one of `KINDS`.
        text_format: one of `FORMATS`; what is neither plain nor HTML is read as HTML.
    """
    return ninjs_texts(item)[number_of(kind, text_format)]


def number_of(kind: str, text_format: str) -> int:
    """Which of what `ninjs_texts` gives."""
    return list(KINDS).index(kind) * len(FORMATS) + FORMATS.index(text_format)


def ninjs_texts(item: dict[str, Any]) -> tuple[Texts, ...]:
    """The texts of a news object that are read.

    Returns:
        For each of `KINDS`, those in plain text and those with mark-up, in that order.
    """
    named: dict[str, list[_Text]] | None = None
    found: list[Texts] = []
    for kind, plural, first in _LISTS:
        listed = item.get(plural)
        texts: list[_Text] = []
        if type(listed) is list:
            if len(listed) == 1 and (text := _plain_text(listed[0])) is not None:
                found += ([(first, text)], [])
                continue
            texts = _listed(plural, listed)
        if not texts:
            if named is None:
                named = _named(item)
            texts = named.get(kind) or _instead(kind, item)
        found += _read(texts) if texts else ([], [])
    return tuple(found)


def _plain_text(one: Any) -> str | None:
    """The text of a list of one, as most are; None where there is more to find out."""
    if type(one) is not dict:
        return None
    value = one.get("value")
    if type(value) is not str or not value:
        return None
    media = one.get("contenttype") or one.get("contentType")
    if media == "text/plain":
        return value
    says_nothing = not media and one.get("role") in _PLAIN_ROLES and value[0].isalnum()
    return value if says_nothing else None


def _listed(plural: str, items: Sequence[Any]) -> list[_Text]:
    """The texts of a list, as in 2.x and 3.x."""
    texts = []
    for number, one in enumerate(items):
        if not isinstance(one, dict):
            continue
        value = one.get("value")
        if type(value) is not str or not value:
            continue
        role = one.get("role")
        purpose, version, text_format = _role(role[:_COMPARED] if type(role) is str else "")
        media = one.get("contenttype") or one.get("contentType")
        if type(media) is str and media:
            media, text_format = _media_type(media[:_COMPARED])
            version = (*version, media)
        if text_format is None:
            text_format = _looks(value)
        texts.append(
            made(_Text, (f"/{plural}/{number}/value", value, text_format, purpose, version))
        )
    return texts


def _named(item: dict[str, Any]) -> dict[str, list[_Text]]:
    """The texts that members of a news object are, as in 1.x, by kind."""
    texts: dict[str, list[_Text]] = {}
    for name in item:
        if not name.startswith(_STARTS):
            continue
        kind, _, end = name.partition("_")
        value = item[name]
        if kind not in KINDS or type(value) is not str or not value:
            continue
        purpose, version, text_format = _role(end[:_COMPARED])
        if purpose and purpose[-1] in _COUNTS:
            continue
        if text_format is None:
            text_format = _looks(value)
        pointer = "/" + escaped(name)
        texts.setdefault(kind, []).append(
            made(_Text, (pointer, value, text_format, purpose, version))
        )
    return texts


def _instead(kind: str, item: dict[str, Any]) -> list[_Text]:
    title = item.get(INSTEAD_OF_HEADLINE) if kind == "headline" else None
    if type(title) is not str or not title:
        return []
    return [_Text(f"/{INSTEAD_OF_HEADLINE}", title, _Format.PLAIN, (), ())]


def _read(texts: Sequence[_Text]) -> tuple[Texts, Texts]:
    """Of each purpose the texts of its best version."""
    if len(texts) == 1:
        pointer, value, text_format, *_ = texts[0]
        one = [(pointer, value)]
        return (one, []) if text_format is _Format.PLAIN else ([], one)
    best: dict[tuple[str, ...], _Text] = {}
    for text in texts:
        other = best.get(text.purpose)
        if other is None or text.format < other.format:
            best[text.purpose] = text
    has_known = any(text.format is not _Format.OTHER for text in best.values())
    plain: Texts = []
    marked: Texts = []
    for text in texts:
        first = best[text.purpose]
        if (text.format, text.version) != (first.format, first.version):
            continue
        if text.format is _Format.PLAIN:
            plain.append((text.pointer, text.value))
        elif text.format is _Format.HTML or not has_known:
            # What is neither is read where there is nothing else.
            marked.append((text.pointer, text.value))
    return plain, marked


@lru_cache(_REMEMBERED)
def _role(role: str) -> tuple[tuple[str, ...], tuple[str, ...], _Format | None]:
    """The words of a role that name no format, those that do, and which format that is."""
    purpose, formats, told = [], [], None
    for word in _WORDS.split(role.lower()):
        found = _format_of_word(word)
        if found is not None:
            formats.append(word)
            # A word for plain text stands beside others: `text_html` is HTML.
            told = found if told is None else max(told, found)
        elif word not in _MAIN:
            purpose.append(word)
    return tuple(purpose), tuple(formats), told


def _format_of_word(word: str) -> _Format | None:
    if word in _PLAIN_WORDS:
        return _Format.PLAIN
    if word in _HTML_WORDS or word.rstrip("0123456789").endswith("html"):
        return _Format.HTML
    if word.endswith(("nitf", "ml", "json")):
        return _Format.OTHER
    return None


@lru_cache(_REMEMBERED)
def _media_type(told: str) -> tuple[str, _Format]:
    """A media type without its parameters, and the format that it is.

    Some write a name of 1.x there, such as `body_xhtml`.
    """
    media = told.partition(";")[0].strip().lower()
    if "html" in media:
        return media, _Format.HTML
    if media.startswith("text/") or media in _PLAIN_WORDS:
        is_plain = "xml" not in media and "nitf" not in media
        return media, _Format.PLAIN if is_plain else _Format.OTHER
    return media, _Format.OTHER


def _looks(value: str) -> _Format:
    """The format of a text of which nothing says it."""
    if _TAG.match(value) is None or not value.rstrip().endswith(">"):
        return _Format.PLAIN
    return _Format.HTML
