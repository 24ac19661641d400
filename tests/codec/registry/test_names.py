"""The names of an article, and its language, in messages of a registry's formats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.language import LanguageStep
from consumer.codec.output_place import RESERVED_WITH_NAMES, OutputPlace
from consumer.codec.registry.choice import message_format
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import InputFormat, SubjectNameStrategy
from consumer.contracts.messages import Article, Entity, ModelInfo, TaggedArticle
from consumer.contracts.registry import SchemaType
from tests.support.fakes import raw
from tests.support.memory.memory_registry import MemoryRegistry, avro_message, avro_read

SCHEMA = {
    "type": "record",
    "name": "Article",
    "fields": [{"name": name, "type": "string"} for name in ("id", "body", "lang")],
}
MODEL = ModelInfo("m", "r", "cpu", "float32", ("PER",))


@pytest.mark.parametrize("output_field", ["", "found"])
def test_they_are_written_in_avro_and_as_json(output_field: str) -> None:
    registry = MemoryRegistry()
    body = "<b>Ann</b> Lee met Lee"
    message = avro_message(
        registry.put(SchemaType.AVRO, SCHEMA), SCHEMA, {"id": "1", "body": body, "lang": "en"}
    )

    def written(subjects: Subjects | None) -> tuple[Any, bytes]:
        place = OutputPlace(output_field, RESERVED_WITH_NAMES)
        codec = Codec(
            ("body",),
            output_field=output_field,
            message_format=message_format(
                InputFormat.AVRO, registry, subjects, place, has_names=True
            ),
            text_format=("html",),
            language=LanguageStep("lang", None, ("en",)),
            people={"PER"},
        )
        article = codec.decode(raw(0, message))
        assert isinstance(article, Article)
        assert [field.text for field in article.fields] == ["Ann Lee met Lee"]
        found = (
            Entity("body", "PER", "Ann Lee", 3, 14, 0.5),
            Entity("body", "PER", "Lee", 19, 22, 0.5),
        )
        output = codec.encode(TaggedArticle(article, found, 1, MODEL), 5)
        return codec, output

    _, output = written(Subjects(SubjectNameStrategy.TOPIC, "tagged"))
    in_avro = avro_read(output, json.loads(registry.text(output)))
    _, output = written(None)
    for read in (in_avro, json.loads(output)):
        additions = read[output_field] if output_field else read
        assert additions["names"] == [
            {"type": "PER", "text": "Ann Lee", "count": 2, "mentions": [0, 1]}
        ]
        assert additions["tagging"]["language"] == "en"
        assert read["body"] == body
