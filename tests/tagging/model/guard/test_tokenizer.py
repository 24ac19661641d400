"""Tokenizers that ask for absurd things."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.tokenizer import (
    MOST_ADDED,
    check_tokenizer,
    expressions,
    has_expressions,
)
from consumer.tagging.select import load_model
from tests.support.models.tiny_models import tiny_folder


def split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated"}


def token(content: str) -> dict[str, Any]:
    return {"id": 1, "content": content, "special": False}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"added_tokens": [token("x")] * (MOST_ADDED + 1)}, "adds 20,001 tokens"),
        ({"added_tokens": [token("x" * 1_000_001)]}, "of 1,000,001 letters"),
        ({"model": {"max_input_chars_per_word": 10**9}}, "words of up to 1,000,000,000 letters"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 200}},
            "has 201 steps under normalizer",
        ),
        ({"pre_tokenizer": split("x" * 10_001)}, "the longest of 10,001 letters"),
    ],
)
def test_what_is_absurd_is_refused(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError) as raised:
        check_tokenizer("M", "tokenizer.json", document)
    assert says in str(raised.value)


def test_every_kind_of_expression_is_found() -> None:
    document = {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
                {"type": "Replace", "pattern": {"String": "(a+)+"}, "content": " "},
            ],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split("a|b")]},
        "model": {"vocab": {"Regex": 1}},
        "decoder": split("never(used)+"),
    }
    check_tokenizer("M", "tokenizer.json", document)
    assert sorted(expressions(document)) == [" {2,}", "a|b"]


@pytest.mark.parametrize("plain", [" {2,}", r"\s+", "\n", "ab*c", r"\pL?"])
def test_what_is_plain_needs_no_trial(plain: str) -> None:
    assert not has_expressions({"pre_tokenizer": split(plain)})


@pytest.mark.parametrize("odd", ["(a)", "a+b+", "a|b", r"\s+\d*", "a{2,}b{2,}"])
def test_what_is_not_plain_is_tried(odd: str) -> None:
    assert has_expressions({"pre_tokenizer": split(odd)})


def test_a_bomb_in_a_model_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder("roberta"), tmp_path / "model"))
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    document["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+)+b"}, "content": ""}
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match="is not fit for texts of strangers"):
        load_model(str(folder), "", "cpu", "float32", 0)
