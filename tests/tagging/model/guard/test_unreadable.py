"""Why a tokenizer's document cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tokenizers

from consumer.tagging.model.guard.unreadable import why_unreadable
from tests.support.models.tiny_models import FAMILIES, tiny_folder

READ = f"tokenizers {tokenizers.__version__} cannot read "
NEW = {"type": "SomethingNew"}


def document(family: str = "roberta", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tiny_folder(family) / "tokenizer.json").read_text())
    return found | changes


@pytest.mark.parametrize("family", FAMILIES)
def test_what_can_be_read_has_no_fault(family: str) -> None:
    assert why_unreadable("tokenizer.json", document(family)) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"normalizer": NEW}, f"{READ}normalizer in its t.json, which names SomethingNew (data"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, NEW]}},
            f"{READ}normalizer in its t.json, which names SomethingNew (data",
        ),
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Punctuation"}, {"type": "Digits"}, NEW],
                }
            },
            f"{READ}pre_tokenizer in its t.json, which names Digits (missing field `individual",
        ),
        ({"pre_tokenizer": NEW}, f"{READ}pre_tokenizer in its t.json, which names SomethingNew"),
        ({"post_processor": NEW}, f"{READ}post_processor in its t.json, which names SomethingNew"),
        ({"decoder": NEW}, f"{READ}decoder in its t.json, which names SomethingNew (data"),
        ({"model": {**NEW, "vocab": {}}}, f"{READ}model in its t.json, which names SomethingNew"),
        ({"normalizer": 5}, f"{READ}normalizer in its t.json (data did not match"),
        ({"added_tokens": [{"id": 0}]}, f"{READ}added_tokens in its t.json (missing field `cont"),
        ({"version": "2.0"}, f"{READ}version in its t.json (Unknown tokenizer version '2.0'"),
        ({"something": 1}, f"{READ}its t.json (expected"),
        # Rust panics at this one.
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}},
            f"{READ}normalizer in its t.json, which names Precompiled (Precompiled: Error(",
        ),
        (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": "["}, "content": ""}},
            "its t.json has a regular expression under normalizer that is none (Oniguruma error: p",
        ),
    ],
)
def test_the_part_that_cannot_be_read_is_named(changes: dict[str, Any], says: str) -> None:
    why = why_unreadable("t.json", document(**changes))
    assert why is not None
    assert why.startswith(says)
    assert "copy or download" in why
    assert "\n" not in why
