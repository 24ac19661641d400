"""`nerstream tag --explain`: of each message what was read, as what, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import orjson

from consumer.codec.article_codec import Codec
from consumer.contracts.choices import TextFormat
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, TaggedArticle, TextField, Tombstone, Untagged
from consumer.contracts.safe_text import safe, safe_json

#: Characters of a text that are shown.
_SHOWN_CHARACTERS = 60


class Explanations:
    """One explanation a message, as lines for a person or as a JSON object.

    Args:
        stream: where they go.
        codec: what reads the messages.
        tokens: how many tokens the model has of an article, special ones included.
        as_json: one JSON object a message instead of lines.
    """

    def __init__(
        self, stream: BinaryIO, codec: Codec, tokens: Callable[[Article], int], as_json: bool
    ) -> None:
        self._stream = stream
        self._codec = codec
        self._tokens = tokens
        self._write_form: _Form = _json_form if as_json else _text_form

    def write(self, outcome: TaggedArticle | Untagged | Tombstone) -> None:
        """Explain what passed, tagged or not."""
        line = outcome.raw.position.offset
        if isinstance(outcome, Tombstone):
            self._print({"line": line, "outcome": "passed", "reason": "tombstone"})
            return
        article = outcome.article
        told: dict[str, Any] = {"line": line, "id": article.id}
        if isinstance(outcome, Untagged):
            told |= {"outcome": "passed", "reason": outcome.reason.value}
            if not article.fields:
                told["why"] = self._codec.without_text(article.raw)
        else:
            told |= {
                "outcome": "tagged",
                "entities": len(outcome.entities),
                "model": outcome.model.name,
                "revision": outcome.model.revision,
            }
        told["language"] = article.language or None
        told["fields"] = [self._field(article, field) for field in article.fields]
        self._print(told)

    def reject(self, line: int, rejection: RejectedMessage) -> None:
        """Explain what would become a dead letter."""
        self._print(
            {
                "line": line,
                "outcome": "rejected",
                "code": str(rejection.code),
                "why": rejection.message,
            }
        )

    def flush(self) -> None:
        """Let the reader see what was written."""
        self._stream.flush()

    def _field(self, article: Article, field: TextField) -> dict[str, Any]:
        return {
            "field": field.name,
            "format": str(field.source.text_format if field.source else TextFormat.PLAIN),
            "tokens": self._tokens(article._replace(fields=(field,))),
            "text": shown(field.text),
        }

    def _print(self, told: dict[str, Any]) -> None:
        self._stream.write(self._write_form(told))


class _Form(Protocol):
    def __call__(self, told: dict[str, Any], /) -> bytes: ...


def shown(text: str) -> str:
    """The beginning of a text in one line: what a terminal would not print is escaped."""
    begin = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    cut = begin[:_SHOWN_CHARACTERS]
    is_whole = len(cut) == len(begin) and len(text) <= 4 * _SHOWN_CHARACTERS
    return safe(cut) if is_whole else f"{safe(cut)}…"


def _json_form(told: dict[str, Any]) -> bytes:
    return safe_json(orjson.dumps(told).decode()).encode() + b"\n"


def _text_form(told: dict[str, Any]) -> bytes:
    """Such as::

    line 3, id 7: tagged, 2 entities, model bundled
      /headlines/0/value   plain   12 tokens   Lisbon tram line reopens
    """
    id = f", id {shown(told['id'])}" if told.get("id") else ""
    language = f", language {shown(told['language'])}" if told.get("language") else ""
    match told["outcome"]:
        case "tagged":
            count = told["entities"]
            entities = "1 entity" if count == 1 else f"{count} entities"
            outcome = f"tagged, {entities}{language}, model {told['model']}"
        case "passed":
            outcome = f"passed untagged, {told['reason']}{language}"
        case _:
            outcome = f"rejected, {told['code']}"
    lines = [f"line {told['line']}{id}: {outcome}"]
    if "why" in told:
        lines.append(f"  {safe(told['why'])}")
    fields = told.get("fields", [])
    names = [shown(field["field"]) for field in fields]
    width = max(map(len, names), default=0)
    tokens = max((len(str(field["tokens"])) for field in fields), default=0)
    for name, field in zip(names, fields, strict=True):
        lines.append(
            f"  {name:{width}}   {field['format']}   {field['tokens']:{tokens}} tokens   "
            f"{field['text']}"
        )
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")
