from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from consumer import resources
from consumer.codec.article_codec import Codec
from consumer.contracts.choices import RejectCode, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, Position, RawMessage, TopicPartition

FOLDER = resources.schemas_folder()
EXAMPLES = FOLDER / "examples"
CODEC = Codec(("title", "body"))
REJECTED: list[dict[str, str]] = orjson.loads((EXAMPLES / "rejected.json").read_bytes())

#: What `decode` may answer with; the other codes belong to later stages.
DECODE_CODES = {
    RejectCode.INVALID_UTF8,
    RejectCode.INVALID_JSON,
    RejectCode.NESTED_TOO_DEEP,
    RejectCode.NOT_AN_OBJECT,
    RejectCode.MISSING_ID,
    RejectCode.EMPTY_ID,
    RejectCode.WRONG_TYPE,
    RejectCode.NO_TEXT,
}


def raw(value: bytes) -> RawMessage:
    return RawMessage(Position(TopicPartition("t", 0), 0), None, value, (), None, 0)


def documents(pattern: str) -> list[Path]:
    return sorted(EXAMPLES.glob(pattern))


@pytest.mark.parametrize("name", ["article.v1", "tagged_article.v1"])
def test_schemas_are_json_schemas_whose_examples_fit(name: str) -> None:
    schema = resources.schema(name)
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert schema["$id"] == f"urn:nerstream:schema:{name.replace('.', ':')}"
    assert schema["examples"]
    for example in schema["examples"]:
        validator.validate(example)


def test_example_articles_are_taken() -> None:
    found = documents("article_*.json")
    assert len(found) == 3
    for path in found:
        assert isinstance(CODEC.decode(raw(path.read_bytes())), Article), path


def test_example_outputs_fit_and_their_offsets_are_those_of_their_text() -> None:
    validator = jsonschema_rs.validator_for(resources.schema("tagged_article.v1"))
    found = [orjson.loads(path.read_bytes()) for path in documents("tagged_article_*.json")]
    found += resources.schema("tagged_article.v1")["examples"]
    entities = 0
    for document in found:
        validator.validate(document)
        for entity in document["entities"]:
            text = document[entity["field"]]
            assert text[entity["start"] : entity["end"]] == entity["text"]
            entities += 1
    assert entities == 6


@pytest.mark.parametrize("example", REJECTED, ids=[example["why"] for example in REJECTED])
def test_examples_of_what_is_rejected_have_their_code(example: dict[str, str]) -> None:
    value = (
        bytes.fromhex(example["value_hex"]) if "value_hex" in example else example["value"].encode()
    )
    with pytest.raises(RejectedMessage) as caught:
        CODEC.decode(raw(value))
    assert caught.value.code == example["code"]


def test_there_is_an_example_of_every_code() -> None:
    assert {example["code"] for example in REJECTED} == DECODE_CODES


def _output(**changes: Any) -> dict[str, Any]:
    entity = {"field": "title", "type": "LOC", "text": "Oslo", "start": 0, "end": 4, "score": 0.9}
    tagging = {
        "model": "m",
        "revision": "",
        "version": "1",
        "tagged_at": "2026-11-23T06:40:02.000Z",
    }
    entity.update(changes.pop("entity", {}))
    tagging.update(changes.pop("tagging", {}))
    return {"id": "7", "title": "Oslo", "entities": [entity], "tagging": tagging, **changes}


@pytest.mark.parametrize(
    "document",
    [
        _output(id=""),
        _output(entities={}),
        _output(entity={"start": -1}),
        _output(entity={"start": 0.5}),
        _output(entity={"end": 0}),
        _output(entity={"score": 1.1}),
        _output(entity={"score": None}),
        _output(entity={"text": ""}),
        _output(entity={"label": "LOC"}),
        _output(tagging={"tagged_at": "2026-11-23T06:40:02Z"}),
        _output(tagging={"tagged_at": 1795416002}),
        _output(tagging={"device": "cpu"}),
        _output(tagging={"skipped": "no_text"}),
        _output(tagging={"skipped": "tired", "model": None}),
        {"id": "7", "title": "x", "entities": []},
        {"id": "7", "title": "x", "tagging": _output()["tagging"]},
    ],
)
def test_the_output_schema_refuses_what_nerstream_never_writes(document: Any) -> None:
    validator = jsonschema_rs.validator_for(resources.schema("tagged_article.v1"))
    assert validator.is_valid(_output())
    assert not validator.is_valid(document)


@pytest.mark.parametrize("reason", list(SkipReason))
def test_the_output_schema_takes_what_passes_untagged(reason: SkipReason) -> None:
    validator = jsonschema_rs.validator_for(resources.schema("tagged_article.v1"))
    tagging = {"skipped": reason, "version": "1", "tagged_at": "2026-11-23T06:40:02.000Z"}
    document = {**_output(), "entities": [], "tagging": tagging}
    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "tagging": {**tagging, "model": "m"}})
    assert not validator.is_valid({**document, "tagging": {**tagging, "skipped": "tired"}})


def test_the_copy_inside_a_package_is_found_before_the_repository(tmp_path: Path) -> None:
    package = tmp_path / "consumer"
    for folder in (package / "_schemas", tmp_path / "schemas"):
        folder.mkdir(parents=True)
        (folder / "article.v1.json").write_text("{}")
    assert resources.schemas_folder(package) == package / "_schemas"
    (package / "_schemas" / "article.v1.json").unlink()
    assert resources.schemas_folder(package) == tmp_path / "schemas"
    (tmp_path / "schemas" / "article.v1.json").unlink()
    with pytest.raises(FileNotFoundError, match="install it again"):
        resources.schemas_folder(package)


def test_a_schema_that_is_not_there_or_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        resources.schema("article.v9")
    (tmp_path / "odd.json").write_text("[]")
    monkeypatch.setattr(resources, "schemas_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="odd is not an object"):
        resources.schema("odd")


def test_a_schema_is_a_document_of_ones_own() -> None:
    resources.schema("article.v1")["properties"].clear()
    assert resources.schema("article.v1")["properties"]
