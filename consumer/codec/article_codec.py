"""Bytes to articles and back, as `schemas/article.v1.json` and `tagged_article.v1.json` say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from consumer import __version__, resources
from consumer.codec import json_text
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    ModelInfo,
    RawMessage,
    TaggedArticle,
    TextField,
    Tombstone,
)

#: Fields of the output that nerstream writes; an article's own of these names are replaced.
RESERVED_FIELDS = frozenset({"entities", "tagging"})

#: Digits after the point of a score; float32 probabilities carry no more than that.
SCORE_DIGITS = 6
_SCORE_STEPS = 10**SCORE_DIGITS

#: Characters of a wrong value that an error message quotes.
_QUOTED_CHARACTERS = 40


def article_schema(text_fields: Sequence[str]) -> dict[str, Any]:
    """`schemas/article.v1.json` with these text fields in the place of `title` and `body`."""
    schema = resources.schema("article.v1")
    properties = schema["properties"]
    for name in [name for name, rule in properties.items() if rule == {"$ref": "#/$defs/text"}]:
        del properties[name]
    for name in text_fields:
        properties[name] = {"$ref": "#/$defs/text"}
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"$ref": "#/$defs/nonEmptyText"}}}
        for name in text_fields
    ]
    return schema


class Codec:
    """Reads and writes the values of messages. Any thread.

    Args:
        text_fields: names of the fields that hold text, in the order in which they are tagged.
    """

    def __init__(self, text_fields: Sequence[str]) -> None:
        #: Names of the fields that hold text.
        self.text_fields = tuple(text_fields)
        self._validator = jsonschema_rs.Draft202012Validator(article_schema(self.text_fields))
        # Hundreds of messages leave within a millisecond; the same object for all of one model.
        self._tagging: dict[int, tuple[ModelInfo, int, bytes]] = {}

    def decode(self, raw: RawMessage) -> Article | Tombstone:
        """The article that a message holds, or its tombstone.

        Null and empty text fields are left out; of a repeated name the last value counts.

        Raises:
            RejectedMessage: the value is not an article; codes invalid_utf8, invalid_json,
                nested_too_deep, not_an_object, missing_id, empty_id, wrong_type, no_text.
        """
        if raw.value is None:
            return Tombstone(raw)
        document = json_text.parse(raw.value)
        if not self._validator.is_valid(document):
            raise self._explain(document)
        fields = []
        for name in self.text_fields:
            text = document.get(name)
            if text:
                fields.append(TextField(name, text))
        is_tagged = not RESERVED_FIELDS.isdisjoint(document)
        return Article(raw, document["id"], tuple(fields), is_tagged)

    def encode(self, tagged: TaggedArticle, tagged_at_ms: int) -> bytes:
        """The article's own bytes with `entities` and `tagging` at the end of the object.

        Args:
            tagged: an article that `decode` gave, with its entities and the model that found them.
            tagged_at_ms: when, in milliseconds since the epoch.
        """
        value = tagged.raw.value
        if value is None:
            raise ValueError("a tombstone has no entities")
        entities = [
            {
                "field": field,
                "type": kind,
                "text": text,
                "start": start,
                "end": end,
                # Nearest to so many digits, as `round` has it but for ties, in a third of the time.
                "score": int(score * _SCORE_STEPS + 0.5) / _SCORE_STEPS,
            }
            for field, kind, text, start, end, score in tagged.entities
        ]
        additions = b'"entities":%b,"tagging":%b' % (
            orjson.dumps(entities),
            self._tagging_of(tagged.model, tagged_at_ms),
        )
        replacing = RESERVED_FIELDS if tagged.article.has_reserved_fields else frozenset()
        return json_text.with_members(value, additions, replacing)

    def _tagging_of(self, model: ModelInfo, tagged_at_ms: int) -> bytes:
        # By identity: to hash its fields takes longer than to write them.
        _, at_ms, tagging = self._tagging.get(id(model), (model, -1, b""))
        if at_ms != tagged_at_ms:
            tagging = _tagging(model, tagged_at_ms)
            self._tagging[id(model)] = (model, tagged_at_ms, tagging)
        return tagging

    def _explain(self, document: Any) -> RejectedMessage:
        """Why the schema refuses this document: the first reason, in the order of the codes."""
        if not isinstance(document, dict):
            return RejectedMessage(
                RejectCode.NOT_AN_OBJECT,
                f"the value is {_described(document)}; an article is a JSON object",
            )
        return (
            self._explain_id(document)
            or self._explain_text(document)
            or self._explain_by_schema(document)
        )

    def _explain_id(self, document: dict[str, Any]) -> RejectedMessage | None:
        if "id" not in document:
            return RejectedMessage(
                RejectCode.MISSING_ID,
                f'field "id" is missing; {_there_is(document)};'
                ' an article has an "id" that is a non-empty string',
            )
        if not isinstance(document["id"], str):
            return RejectedMessage(
                RejectCode.WRONG_TYPE,
                f'field "id" is {_described(document["id"])}; it must be a non-empty string',
            )
        if not document["id"]:
            return RejectedMessage(
                RejectCode.EMPTY_ID,
                'field "id" is the empty string; it must be a non-empty string',
            )
        return None

    def _explain_text(self, document: dict[str, Any]) -> RejectedMessage | None:
        for name in self.text_fields:
            if not isinstance(document.get(name), (str, type(None))):
                return RejectedMessage(
                    RejectCode.WRONG_TYPE,
                    f'field "{name}" is {_described(document[name])};'
                    " a text field must be a string or null",
                )
        if not any(document.get(name) for name in self.text_fields):
            absent = [name for name in self.text_fields if name not in document]
            names = " or ".join(f'"{name}"' for name in self.text_fields)
            found = (
                f"there is no text in {names}"
                if len(absent) < len(self.text_fields)
                else f"there is no field {names}; {_there_is(document)}"
            )
            return RejectedMessage(
                RejectCode.NO_TEXT, f"{found}; at least one text field must be a non-empty string"
            )
        return None

    def _explain_by_schema(self, document: dict[str, Any]) -> RejectedMessage:
        # Reached only by a rule that was added to the schema and not here.
        error = next(iter(self._validator.iter_errors(document)))
        place = "/".join(str(step) for step in error.instance_path) or "the article"
        return RejectedMessage(RejectCode.WRONG_TYPE, f"{place}: {_shortened(error.message)}")


def rfc3339(timestamp_ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC, milliseconds kept: `...T06:40:02.318Z`."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


# The same for a thousand milliseconds; it takes longer to write than an article to be spliced.
@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _tagging(info: ModelInfo, tagged_at_ms: int) -> bytes:
    """The object that says which model tagged an article, and when."""
    return orjson.dumps(
        {
            "model": info.name,
            "revision": info.revision,
            "version": __version__,
            "tagged_at": rfc3339(tagged_at_ms),
        }
    )


def _described(value: Any) -> str:
    """A JSON value by its type, and by itself where it is short to say."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"a number ({value})"
        case str():
            return f"a string ({_shortened(value)!r})"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def _there_is(document: dict[str, Any]) -> str:
    """The names that the object has, to compare with the ones it should have."""
    if not document:
        return "the object is empty"
    names = ", ".join(f'"{_shortened(name)}"' for name in list(document)[:8])
    more = len(document) - 8
    return f"there is {names}" + (f" and {more} more" if more > 0 else "")


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"
