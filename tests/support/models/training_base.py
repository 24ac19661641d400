"""A tiny base to train from, and articles to train on."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from consumer.evaluation.conll import LabelledArticle, parse_conll

TEXT = """-DOCSTART- O

Maria B-PER
Lund I-PER
sings O
in O
Oslo B-LOC
. O

Lund B-PER
waves O

-DOCSTART- O

Rain O
in O
Bergen B-LOC
. O

Ivar B-PER
Moe I-PER
left O
Oslo B-LOC
"""


LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def articles() -> list[LabelledArticle]:
    return list(parse_conll(TEXT.split("\n"), "made-up.txt"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")
