"""A token-classification checkpoint as it is taken up for training and saved."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from consumer.tagging.model.config import CONFIG, read_tokenizer_config
from consumer.tagging.model.files import read_json
from consumer.tagging.model.network import load_modules
from consumer.tagging.model.tokenizer_files import tokenizer_options
from consumer.tagging.model.weights import WEIGHTS, read_weights

#: What configs call these; BERT's name first, DistilBERT's second.
_HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout")
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")

#: What a tokenizer's config says of cutting and padding, beside `model_max_length`.
_CUTTING = (
    "max_length",
    "stride",
    "truncation_strategy",
    "pad_to_multiple_of",
    # Traces of where it was loaded from, which mean nothing elsewhere.
    "is_local",
    "local_files_only",
)


def load_tokenizer(name: str, max_length: int) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a hub id or folder, without any cutting or padding
    of its own: sentence-transformers ships tokenizers that cut at 128.

    Raises:
        ValueError: the model has no fast tokenizer.
        OSError: there is no such model.
        ModelError: a file of a folder is missing or not what it should be.
    """
    folder = Path(name)
    options: dict[str, Any] = {}
    if (folder / CONFIG).exists():
        config = read_json(name, folder / CONFIG)
        options = tokenizer_options(name, folder, config, read_tokenizer_config(name, folder))
    tokenizer = AutoTokenizer.from_pretrained(
        name, trust_remote_code=False, model_max_length=max_length, **options
    )
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or not tokenizer.is_fast:
        raise ValueError(f"{name} has no fast tokenizer")
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    for name in _CUTTING:
        tokenizer.init_kwargs.pop(name, None)
    return tokenizer


def load_model(
    name: str,
    labels: Sequence[str],
    *,
    seed: int,
    dropout: float | None,
    attention_dropout: float | None,
) -> PreTrainedModel:
    """The checkpoint in float32, its head made for ``labels``.

    A checkpoint that has just these labels keeps its head and their order, and
    so does one for which no labels are given; otherwise the head is new and
    drawn from ``seed``.

    Raises:
        ValueError: a dropout is given that the model's config does not know.
        OSError: there is no such model, or it has no safetensors weights.
        ModelError: the weights of a folder are not what they should be.
    """
    folder = Path(name)
    # What the library does not find by its name it draws at random, without a word.
    weights = read_weights(name, folder) if (folder / WEIGHTS).exists() else None
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    own = [config.id2label[index] for index in sorted(config.id2label)]
    if labels and set(own) != set(labels):
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    _set_dropout(config, _HIDDEN_DROPOUT, dropout)
    _set_dropout(config, _ATTENTION_DROPOUT, attention_dropout)
    torch.manual_seed(seed)
    model: PreTrainedModel = load_modules(name, config, weights, torch.float32)[0]
    return model


def labels_of(model: PreTrainedModel) -> list[str]:
    """The model's labels, in the order of its answers."""
    return [model.config.id2label[index] for index in sorted(model.config.id2label)]


def require_positions(model: PreTrainedModel, max_length: int) -> None:
    """Raise ValueError where a window of so many sub-words is more than the model takes."""
    positions = getattr(model.config, "max_position_embeddings", max_length)
    if max_length > positions:
        raise ValueError(
            f"it takes {positions} sub-words at most, fewer than --max-length {max_length}"
        )


def load_alike(
    name: str, max_length: int, tokenizer: PreTrainedTokenizerFast, labels: Sequence[str]
) -> PreTrainedModel:
    """A checkpoint in float32 that has these sub-words, and these labels in this order.

    Raises:
        ValueError: its sub-words or labels are others.
        OSError: there is no such model, or it has no safetensors weights.
    """
    own = load_tokenizer(name, max_length)
    model = load_model(name, [], seed=0, dropout=None, attention_dropout=None)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            f"its sub-words are not those of {tokenizer.name_or_path}; train it from the same "
            "checkpoint with the same --case-marks"
        )
    if labels_of(model) != list(labels):
        raise ValueError(f"its labels are {', '.join(labels_of(model))}, not {', '.join(labels)}")
    return model


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Writes config, float16 weights as safetensors, and the fast tokenizer.

    The weights keep three decimal digits in half the bytes; whoever loads them
    computes in the type of their choice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).half()
    half.config.architectures = [type(model).__name__]
    # Where the checkpoint came from is in the model card, not a path in the config.
    half.config._name_or_path = ""
    half.save_pretrained(folder)
    # It is written as a private file, which the user of a container could not read.
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    _name_tokenizer_for_all(folder / "tokenizer_config.json")


def _name_tokenizer_for_all(file: Path) -> None:
    """transformers 5 writes a name that 4 does not know, and reads the old one too."""
    config = json.loads(file.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        file.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _set_dropout(config: PretrainedConfig, names: tuple[str, ...], value: float | None) -> None:
    if value is None:
        return
    for name in names:
        if hasattr(config, name):
            setattr(config, name, value)
            return
    raise ValueError(f"its config has none of {', '.join(names)}, so no dropout can be set")
