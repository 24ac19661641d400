"""What the text of a field is, by the settings and by what the message says beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consumer.codec.fields.located import ReadField, resolve
from consumer.codec.text.source import read_html, read_references
from consumer.contracts.choices import TextFormat
from consumer.contracts.messages import TextField, TextSource, made

#: Media types of HTML, without their parameters.
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "html", "xhtml"})
_PLAIN_TYPES = frozenset({"text/plain", "plain"})

_READ: Mapping[TextFormat, Callable[[str], tuple[str, TextSource | None]]] = {
    TextFormat.HTML: read_html,
    TextFormat.REFERENCES: read_references,
}


def formats_of(entries: Sequence[str], text_fields: Sequence[str]) -> dict[str, TextFormat]:
    """The format of each text field.

    Args:
        entries: as the setting has them: a format for all, or `FIELD=FORMAT` for one.
        text_fields: names and paths of the texts.
    """
    formats = dict.fromkeys(text_fields, TextFormat.PLAIN)
    for entry in sorted(entries, key=lambda one: "=" in one):
        field, equals, name = entry.rpartition("=")
        for one in (field.strip(),) if equals else text_fields:
            formats[one] = TextFormat(name.strip())
    return formats


def field_readers(
    entries: Sequence[str], beside: str, text_fields: Sequence[str]
) -> dict[str, ReadField | None] | None:
    """What reads each text field, None for one that is plain; None where all are.

    Args:
        entries: as for `formats_of`.
        beside: name of the member beside a text that holds its media type; empty looks for none.
        text_fields: names and paths of the texts.
    """
    formats = formats_of(entries, text_fields)
    if not beside and set(formats.values()) <= {TextFormat.PLAIN}:
        return None
    if beside:
        return {field: _by_media_type(beside, one) for field, one in formats.items()}
    return {
        field: None if one is TextFormat.PLAIN else _of_format(one)
        for field, one in formats.items()
    }


def _plain(name: str, source: str, _document: Any) -> TextField:
    return made(TextField, (name, source, None))


def _of_format(text_format: TextFormat) -> ReadField:
    if text_format is TextFormat.PLAIN:
        return _plain
    read = _READ[text_format]

    def field(name: str, source: str, _document: Any) -> TextField | None:
        text, way = read(source)
        if way is not None and (not text or text.isspace()):
            return None
        return made(TextField, (name, text, way))

    return field


def _by_media_type(beside: str, otherwise: TextFormat) -> ReadField:
    """By the media type that stands beside the text; what that does not say, the setting does."""
    html, default = _of_format(TextFormat.HTML), _of_format(otherwise)
    unmarked = _plain if otherwise is TextFormat.HTML else default

    def field(name: str, source: str, document: Any) -> TextField | None:
        # A path's field is called by its JSON Pointer; a plain name stands at the top.
        place = resolve(document, name.rpartition("/")[0]) if name.startswith("/") else document
        told = place.get(beside) if isinstance(place, dict) else None
        media_type = told.partition(";")[0].strip().lower() if isinstance(told, str) else ""
        if media_type in _HTML_TYPES:
            return html(name, source, document)
        return (unmarked if media_type in _PLAIN_TYPES else default)(name, source, document)

    return field
