"""What the GPU benchmark runs: two models and a day's articles, made without a network."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from consumer.contracts.messages import Article, Position, RawMessage, TextField, TopicPartition
from consumer.resources import sample_lines
from consumer.tagging.model.loaded_model import LoadedModel

#: Words of an article: the exponential of a normal, with the mean of real news (about 270 tokens
#: with the bundled tokenizer's 1.8 tokens a word), cut so that every article fits in one window
#: of 512 tokens. The pipeline of transformers cannot read more, and both read the same.
_MEAN_LOG_WORDS, _SPREAD_LOG_WORDS, _MOST_WORDS = 4.85, 0.5, 185


def texts(count: int, seed: int = 1) -> list[str]:
    """So many texts of the lengths of real news, out of the sentences of the sample articles."""
    sentences = []
    for line in sample_lines():
        try:
            body = orjson.loads(line).get("body")
        except (orjson.JSONDecodeError, AttributeError):
            continue  # bad on purpose
        if isinstance(body, str):
            sentences += [f"{part.strip()}." for part in body.split(".") if len(part) > 20]
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        words = min(_MOST_WORDS, draw.lognormvariate(_MEAN_LOG_WORDS, _SPREAD_LOG_WORDS))
        parts: list[str] = []
        while len(parts) < words:
            parts += draw.choice(sentences).split()
        made.append(" ".join(parts[: int(words)]))
    return made


def articles(bodies: Sequence[str]) -> list[Article]:
    """An article of each text."""
    return [
        Article(
            RawMessage(Position(TopicPartition("bench", 0), number), None, b"{}", (), None, 0),
            str(number),
            (TextField("body", body),),
        )
        for number, body in enumerate(bodies)
    ]


def windows(model: LoadedModel, bodies: Sequence[str]) -> list[NDArray[np.int32]]:
    """The tokens of each text with its special tokens, cut to the model's longest window."""
    most = model.max_tokens - model.special_tokens
    return [
        np.array([*model.prefix_ids, *encoding.ids[:most], *model.suffix_ids], dtype=np.int32)
        for encoding in model.tokenizer.encode_batch(list(bodies), add_special_tokens=False)
    ]


def passes(
    all_windows: Sequence[NDArray[np.int32]], pass_tokens: int
) -> list[list[NDArray[np.int32]]]:
    """The windows in order, as many to a pass as fit in so many tokens."""
    groups: list[list[NDArray[np.int32]]] = [[]]
    tokens = 0
    for window in all_windows:
        if groups[-1] and tokens + len(window) > pass_tokens:
            groups.append([])
            tokens = 0
        groups[-1].append(window)
        tokens += len(window)
    return groups


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What a model costs.

    Attributes:
        per_token: floating-point operations of the layers' matmuls for a token.
        per_pair: those of attention for a token and a token that it attends to.
    """

    per_token: float
    per_pair: float

    def operations(self, all_windows: Sequence[NDArray[np.int32]]) -> float:
        """Floating-point operations for all of these windows; a product and its sum are two."""
        lengths = np.array([len(window) for window in all_windows], dtype=np.float64)
        return float(self.per_token * lengths.sum() + self.per_pair * (lengths**2).sum())


def arithmetic(config: Any) -> Arithmetic:
    """Of an encoder of BERT's form: four matmuls of hidden by hidden and two of hidden by
    intermediate a layer, and two matmuls with each attended token."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    return Arithmetic(
        per_token=2.0 * layers * (4 * hidden * hidden + 2 * hidden * config.intermediate_size),
        per_pair=4.0 * layers * hidden,
    )
