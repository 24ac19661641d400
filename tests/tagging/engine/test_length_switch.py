"""Models that compute long windows otherwise: an answer does not depend on what is beside it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer.tagging.engine.length_switch import length_switches
from tests.support.models.spoiled_folders import change, load, tagger_of
from tests.support.models.tiny_families import folder_of, loaded
from tests.support.models.tiny_models import SENTENCES, article, tag

#: Most tokens of a window that has the frequencies of short ones; more than those of the windows
#: that every model is tried on.
ORIGINAL = 210

LONGROPE: Mapping[str, Any] = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": ORIGINAL,
}


def with_longrope(family: str, folder: Path) -> Path:
    shutil.copytree(folder_of(family), folder)
    change(folder, rope_parameters=LONGROPE)
    if family == "Phi3":  # whose own key comes before that of the parameters
        change(folder, original_max_position_embeddings=ORIGINAL)
    change(folder, "tokenizer_config.json", model_max_length=256)
    return folder


@pytest.mark.parametrize("family", ["Phi3", "NomicBert"])
@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_a_short_article_has_the_same_answer_beside_a_long_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, family: str, dtype: str
) -> None:
    """One of them cannot be packed, the other could."""
    with caplog.at_level(logging.INFO):
        tagger = tagger_of(
            with_longrope(family, tmp_path / family), dtype=dtype, batch_tokens=4_096
        )
    assert f"side by side, more than {ORIGINAL} tokens apart" in caplog.text
    texts = [" ".join(SENTENCES * 2), *SENTENCES, " ".join(SENTENCES[:4])]
    articles = [article(number, text) for number, text in enumerate(texts)]
    together = tag(tagger, articles).answers
    found = 0
    for one, answer in zip(articles, together, strict=True):
        (alone,) = tag(tagger, [one]).answers
        assert isinstance(alone, tuple)
        assert isinstance(answer, tuple)
        assert [(e.type, e.start, e.end) for e in alone] == [
            (e.type, e.start, e.end) for e in answer
        ]
        apart = 1e-5 if dtype == "float32" else 1e-2
        assert [e.score for e in alone] == pytest.approx([e.score for e in answer], abs=apart)
        found += len(alone)
    assert found > 10


def test_the_lengths_are_those_of_the_configuration(tmp_path: Path) -> None:
    assert length_switches(loaded("Phi3")) == ()
    folder = with_longrope("Phi3", tmp_path / "one")
    model = load(folder)
    assert length_switches(model) == (ORIGINAL,)
    change(folder, original_max_position_embeddings=100)
    assert length_switches(load(folder)) == (100,)
    parameters = json.loads((folder / "config.json").read_text("utf-8"))["rope_parameters"]
    model.network.config.rope_parameters = {
        "full_attention": parameters | {"original_max_position_embeddings": 64},
        "sliding_attention": parameters | {"original_max_position_embeddings": ORIGINAL},
        "other": parameters | {"original_max_position_embeddings": 256},
        "plain": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    assert length_switches(model) == (64, ORIGINAL)
