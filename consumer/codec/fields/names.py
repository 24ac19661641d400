"""The id and the texts of articles that have them in fields of plain names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from consumer import resources
from consumer.codec.described import described, shortened, there_is
from consumer.codec.fields.located import ReadField
from consumer.codec.output_place import OutputPlace
from consumer.contracts.choices import NoText, RejectCode, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, RawMessage, TextField, Untagged, made


def article_schema(
    text_fields: Sequence[str], id_field: str = "id", no_text: NoText = NoText.REJECT
) -> dict[str, Any]:
    """`schemas/article.v1.json` with these names in the place of `id`, `title` and `body`.

    Args:
        id_field: empty where no id is asked for.
        no_text: whether a message must have text.
    """
    schema = resources.schema("article.v1")
    properties = schema["properties"]
    for name in [name for name, rule in properties.items() if rule == {"$ref": "#/$defs/text"}]:
        del properties[name]
    rule = properties.pop("id")
    schema["required"] = [id_field] if id_field else []
    if id_field:
        properties[id_field] = rule
    for name in text_fields:
        properties[name] = {"$ref": "#/$defs/text"}
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"$ref": "#/$defs/nonEmptyText"}}}
        for name in text_fields
    ]
    if no_text is NoText.PASS:
        del schema["anyOf"]
    return schema


class NamesReader:
    """Reads fields of plain names; a JSON Schema decides, in a twentieth of an article's time.

    Args:
        text_fields: names of the fields that hold text, in the order in which they are tagged.
        id_field: name of the field that holds the id; empty asks for none.
        no_text: what becomes of a message without text.
        place: where the additions go.
        readers: what reads the text of each field; None where all are plain.
    """

    def __init__(
        self,
        text_fields: Sequence[str],
        id_field: str,
        no_text: NoText,
        place: OutputPlace,
        readers: Mapping[str, ReadField | None] | None = None,
    ) -> None:
        self._text_fields = tuple(text_fields)
        self._readers = None if readers is None else [(name, readers[name]) for name in text_fields]
        self._id_field = id_field
        self._no_text = no_text
        self._is_free = place.is_free
        self._validator = jsonschema_rs.Draft202012Validator(
            article_schema(text_fields, id_field, no_text)
        )

    def read(self, raw: RawMessage, document: Any) -> Article | Untagged:
        """The article that a parsed message holds.

        Null and empty text fields are left out.

        Raises:
            RejectedMessage: not_an_object, missing_id, empty_id, wrong_type or no_text.
        """
        if not self._validator.is_valid(document):
            raise self._explain(document)
        fields = []
        if self._readers is not None:
            fields = self._read_fields(document, self._readers)
        else:
            for name in self._text_fields:
                text = document.get(name)
                if text:
                    fields.append(made(TextField, (name, text, None)))
        is_taken = not self._is_free(document)
        id = document[self._id_field] if self._id_field else ""
        if type(id) is not str:
            id = str(id)
        article = made(Article, (raw, id, tuple(fields), is_taken, "", None))
        if fields:
            return article
        if self._no_text is NoText.REJECT:
            raise only_markup()
        return Untagged(article, SkipReason.NO_TEXT)

    @staticmethod
    def _read_fields(
        document: Any, readers: Sequence[tuple[str, ReadField | None]]
    ) -> list[TextField]:
        fields = []
        for name, reader in readers:
            text = document.get(name)
            if not text:
                continue
            if reader is None:
                fields.append(made(TextField, (name, text, None)))
            elif (field := reader(name, text, document)) is not None:
                fields.append(field)
        return fields

    def without_text(self, document: dict[str, Any]) -> str:
        """Why a message has no text, for a person."""
        absent = [name for name in self._text_fields if name not in document]
        names = " or ".join(f'"{name}"' for name in self._text_fields)
        if len(absent) < len(self._text_fields):
            return f"there is no text in {names}"
        return f"there is no field {names}; {there_is(document)}"

    def _explain(self, document: Any) -> RejectedMessage:
        """Why the schema refuses this document: the first reason, in the order of the codes."""
        return (
            (None if isinstance(document, dict) else not_an_object(document))
            or self._explain_id(document)
            or self._explain_text(document)
            or self._explain_by_schema(document)
        )

    def _explain_id(self, document: dict[str, Any]) -> RejectedMessage | None:
        name = self._id_field
        if not name:
            return None
        if name in document and wrong_id("", document[name]) is None:
            return None
        return wrong_or_missing_id(name, document)

    def _explain_text(self, document: dict[str, Any]) -> RejectedMessage | None:
        for name in self._text_fields:
            value = document.get(name)
            if not isinstance(value, (str, type(None))):
                way = f"; {name}[*] takes the texts of a list" if isinstance(value, list) else ""
                return RejectedMessage(
                    RejectCode.WRONG_TYPE,
                    f'field "{name}" is {described(value)};'
                    f" a text field must be a string or null{way}",
                )
        if not any(document.get(name) for name in self._text_fields):
            return RejectedMessage(
                RejectCode.NO_TEXT,
                f"{self.without_text(document)};"
                " at least one text field must be a non-empty string",
            )
        return None

    def _explain_by_schema(self, document: dict[str, Any]) -> RejectedMessage:
        # Reached only by a rule that was added to the schema and not here.
        error = next(iter(self._validator.iter_errors(document)))
        place = "/".join(str(step) for step in error.instance_path) or "the article"
        return RejectedMessage(RejectCode.WRONG_TYPE, f"{place}: {shortened(error.message)}")


def only_markup() -> RejectedMessage:
    """Why an article whose texts are nothing but mark-up has none."""
    return RejectedMessage(
        RejectCode.NO_TEXT,
        "without its mark-up there is no text; at least one text must have some",
    )


def not_an_object(document: Any) -> RejectedMessage:
    """Why a value that is no object cannot be an article."""
    return RejectedMessage(
        RejectCode.NOT_AN_OBJECT,
        f"the value is {described(document)}; an article is a JSON object",
    )


def wrong_or_missing_id(name: str, document: dict[str, Any]) -> RejectedMessage:
    """Why a field is no id."""
    fault = wrong_id(f'field "{name}"', document[name]) if name in document else None
    return fault or RejectedMessage(
        RejectCode.MISSING_ID,
        f'field "{name}" is missing; {there_is(document)};'
        f' an article has "{name}", a non-empty string or a whole number',
    )


def wrong_id(where: str, id: Any) -> RejectedMessage | None:
    """Why a value cannot be an id; None where it can.

    Args:
        where: where it stands.
    """
    if id == "":
        return RejectedMessage(
            RejectCode.EMPTY_ID,
            f"{where} is the empty string; it must be a non-empty string or a whole number",
        )
    is_whole = isinstance(id, int) or (isinstance(id, float) and id.is_integer())
    if isinstance(id, str) or (is_whole and not isinstance(id, bool)):
        return None
    return RejectedMessage(
        RejectCode.WRONG_TYPE,
        f"{where} is {described(id)}; it must be a non-empty string or a whole number",
    )
