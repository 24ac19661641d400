"""What a model of this worker has tagged before passes as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.kept_answers import KeptAnswers
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, ModelInfo, Tombstone, Unchanged
from tests.support.fakes import raw

OURS = ModelInfo("ner", "0f3a", "cpu", "float32", ("PER",))
TAGGED = {"model": "ner", "revision": "0f3a", "version": "1", "tagged_at": "then"}


def decoded(document: Any, output_field: str = "", model: ModelInfo = OURS) -> Any:
    codec = KeptAnswers(Codec(("body",), output_field=output_field), (model,))
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return codec.decode(raw(0, value))


def article(**more: Any) -> dict[str, Any]:
    return {"id": "1", "body": "Ada 0f3a", **more}


def test_the_answer_of_this_model_and_revision_is_kept() -> None:
    found = decoded(article(entities=[], tagging=TAGGED))
    assert isinstance(found, Unchanged)
    assert json.loads(found.raw.value or b"")["tagging"] == TAGGED


def test_it_is_looked_for_where_the_output_goes() -> None:
    there = {"x": {"ner": {"tagging": TAGGED}}}
    assert isinstance(decoded(article(**there), "x.ner"), Unchanged)
    assert isinstance(decoded(article(**there)), Article)
    assert isinstance(decoded(article(tagging=TAGGED), "x.ner"), Article)


@pytest.mark.parametrize(
    "tagging",
    [
        {**TAGGED, "revision": "0f3a1"},
        {**TAGGED, "revision": "beef"},
        {**TAGGED, "model": "other"},
        {"skipped": "no_text", "revision": "0f3a"},
        {**TAGGED, "model": ["ner"]},
        "0f3a",
        ["0f3a"],
        None,
    ],
)
def test_any_other_is_tagged_again(tagging: Any) -> None:
    assert isinstance(decoded(article(tagging=tagging)), Article)


def test_a_revision_that_json_would_escape_is_found_too() -> None:
    odd = ModelInfo("ner", 'é"', "cpu", "float32", ("PER",))
    found = decoded(article(tagging={**TAGGED, "revision": 'é"'}), model=odd)
    assert isinstance(found, Unchanged)


def test_what_is_no_article_is_rejected_as_ever() -> None:
    with pytest.raises(RejectedMessage) as failed:
        decoded(b"0f3a{")
    assert failed.value.code == RejectCode.INVALID_JSON
    assert isinstance(KeptAnswers(Codec(("body",)), (OURS,)).decode(raw(0, None)), Tombstone)
