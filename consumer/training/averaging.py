"""Averages of fine-tuned checkpoints: one model, as fast as each of them, that errs less.

Models that were fine-tuned from the same checkpoint lie in one basin of the loss, and the middle
of it is better than its edges (Wortsman et al. 2022, "Model soups", the uniform soup).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from consumer.contracts.errors import ModelError
from consumer.evaluation.conll import LabelledArticle, corpus_statistics
from consumer.evaluation.scoring import Scores
from consumer.training.checkpoint import (
    labels_of,
    load_alike,
    load_model,
    load_tokenizer,
    require_positions,
    save_checkpoint,
)
from consumer.training.fine_tuning import score_checkpoint, versions
from consumer.training.model_card import AveragedModel, Part, averaged_card

#: The section of a card of ours that says how its model was made.
_HOW = re.compile(r"^## How it was made\n+(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def average(names: Sequence[str], output: Path, max_length: int) -> None:
    """Write a checkpoint whose weights are the mean of others'. Blocks; float16 as `nerstream
    train` saves them.

    Args:
        names: hub ids or folders of the same architecture, sub-words and labels.
        max_length: sub-words that the model is to see at once, special tokens included.

    Raises:
        ModelError: one of them cannot be loaded, or is of another kind than the first.
    """
    # Its reports and bars would stand between what the command says.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    first, *others = names
    try:
        tokenizer = load_tokenizer(first, max_length)
        mean = load_model(first, [], seed=0, dropout=None, attention_dropout=None)
        require_positions(mean, max_length)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot average {first}: {error}") from error
    weights = mean.state_dict()
    for count, name in enumerate(others, 2):
        try:
            other = load_alike(name, max_length, tokenizer, labels_of(mean)).state_dict()
            _require_same_shapes(weights, other)
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot average {name}: {error}") from error
        for key, value in weights.items():
            value.lerp_(other[key], 1 / count)
    save_checkpoint(mean, tokenizer, output)


def _require_same_shapes(weights: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    if {key: value.shape for key, value in weights.items()} != {
        key: value.shape for key, value in other.items()
    }:
        raise ValueError("its weights have other names or shapes than those of the first")


def score_and_describe(
    names: Sequence[str],
    output: Path,
    dev: Sequence[LabelledArticle],
    max_length: int,
    command: str,
    notes: str,
) -> Scores:
    """Score an averaged checkpoint in float32 on whole articles, and write its card beside it."""
    scores = score_checkpoint(output, dev, max_length, torch.device("cpu"))
    card = averaged_card(
        AveragedModel(
            name=output.resolve().name,
            command=command,
            parts=[_part(name) for name in names],
            max_length=max_length,
            versions=versions(),
            dev=corpus_statistics(dev),
            scores=scores,
            notes=notes,
        )
    )
    (output / "README.md").write_text(card, encoding="utf-8")
    return scores


def _part(name: str) -> Part:
    """What the card of one of the models says of how it was made."""
    file = Path(name) / "README.md"
    found = _HOW.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    return Part(Path(name).resolve().name if Path(name).is_dir() else name,
                found[1].strip() if found else "")  # fmt: skip
