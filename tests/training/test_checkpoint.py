"""Checkpoints: what is taken up of a base, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    DistilBertConfig,
)

from consumer.contracts.errors import ModelError
from consumer.training.checkpoint import (
    _HIDDEN_DROPOUT,
    _set_dropout,
    load_tokenizer,
    save_checkpoint,
)
from consumer.training.checkpoint import load_model as load_checkpoint


def test_a_tokenizer_that_cuts_and_pads_no_longer_does(base_model: Path) -> None:
    truncation = Tokenizer.from_file(str(base_model / "tokenizer.json")).truncation
    assert truncation is not None
    assert truncation["max_length"] == 16
    backend = load_tokenizer(str(base_model), 64).backend_tokenizer
    assert backend.truncation is None
    assert backend.padding is None


def test_a_compiled_base_is_taken_up_by_its_weights_and_saved_without_its_wrapper(
    base_model: Path, tmp_path: Path
) -> None:
    """They would be drawn anew, without a word."""
    folder = Path(shutil.copytree(base_model, tmp_path / "compiled"))
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({f"_orig_mod.{key}": value for key, value in weights.items()}, path)
    model = load_checkpoint(str(folder), ["O"], seed=1, dropout=None, attention_dropout=None)
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[f"bert.{key}"], weights[key])
    save_checkpoint(model, load_tokenizer(str(folder), 64), tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert torch.equal(saved[f"bert.{key}"], weights[key].half())
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"its model.safetensors is a Git LFS pointer"):
        load_checkpoint(str(folder), ["O"], seed=1, dropout=None, attention_dropout=None)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_base_with_a_broken_file_is_named(base_model: Path, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(base_model, tmp_path / "broken"))
    (folder / file).write_text("{")
    with pytest.raises(ModelError, match=f"its {file} is cut off in line 1"):
        load_tokenizer(str(folder), 64)


def test_a_dropout_that_the_model_does_not_know_is_refused() -> None:
    config = DistilBertConfig()
    _set_dropout(config, _HIDDEN_DROPOUT, 0.3)
    assert config.dropout == 0.3
    with pytest.raises(ValueError, match="has none of rate, so no dropout can be set"):
        _set_dropout(config, ("rate",), 0.3)
