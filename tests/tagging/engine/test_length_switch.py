"""Models that compute long windows otherwise: an answer does not depend on what is beside it."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

from consumer.contracts.errors import ModelError
from consumer.tagging.engine.engine import PaddedEngine
from consumer.tagging.engine.length_switch import length_switches
from consumer.tagging.engine.window_company import Company
from tests.support.models.compared_answers import alike_alone
from tests.support.models.spoiled_folders import change, load, tagger_of
from tests.support.models.tiny_families import folder_of, loaded
from tests.support.models.tiny_models import SENTENCES, entities_of

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
    assert alike_alone(tagger, texts, 1e-5 if dtype == "float32" else 1e-2) > 10


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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_window_of_a_bigbird_has_the_attention_of_its_length(
    caplog: pytest.LogCaptureFixture, dtype: str
) -> None:
    """Long ones that of transformers' network as it is loaded, whatever ran before."""
    limit = (5 + 2 * 1) * 4
    with caplog.at_level(logging.INFO):
        tagger = tagger_of(folder_of("BigBird"), dtype=dtype)
    assert f", more than {limit} tokens one length at a time" in caplog.text
    model = loaded("BigBird", dtype)
    assert length_switches(model) == range(limit, 128)
    engine = PaddedEngine(model, True, Company.ANY, length_switches(model))
    fresh = loaded("BigBird", dtype).network
    draw = np.random.default_rng(3)
    lengths = (limit + 1, 9, 120, limit, limit + 1, 12, 123)
    windows = [draw.integers(5, 60, size=length, dtype=np.int32) for length in lengths]
    for _ in range(2):
        answer = engine.run(windows)
        assert answer.probabilities is not None
        parts = np.split(answer.probabilities, np.cumsum(lengths)[:-1])
        for window, found in zip(windows, parts, strict=True):
            own = copy.deepcopy(fresh)
            assert own.base_model.attention_type == "block_sparse"
            with torch.inference_mode():
                logits = own(input_ids=torch.from_numpy(window)[None].long()).logits[0]
            expected = logits.float().softmax(-1).numpy()
            assert np.allclose(found, expected, atol=1e-5 if dtype == "float32" else 2e-2)
    assert not any(one.is_meta for one in model.network.parameters())
    assert len(entities_of(tagger, " ".join(SENTENCES))) > 3


def test_a_short_bigbird_has_full_attention() -> None:
    assert not length_switches(loaded("BigBird", block_size=64))


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        ("float32", r"does not run on a text of 29 tokens alone \(RuntimeError: no kernel\)"),
        ("bfloat16", r"does not run in bfloat16 \(no kernel\); use --dtype float32"),
    ],
)
def test_a_bigbird_is_tried_on_a_long_window_too(
    monkeypatch: pytest.MonkeyPatch, dtype: str, says: str
) -> None:
    forward = BigBirdBlockSparseAttention.forward

    def without_kernel(self: Any, hidden: torch.Tensor, *more: Any, **named: Any) -> Any:
        if str(hidden.dtype) == f"torch.{dtype}":
            raise RuntimeError("no kernel")
        return forward(self, hidden, *more, **named)

    monkeypatch.setattr(BigBirdBlockSparseAttention, "forward", without_kernel)
    with pytest.raises(ModelError, match=says):
        tagger_of(folder_of("BigBird"), dtype=dtype)
