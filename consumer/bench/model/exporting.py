"""A model as other runtimes take it: ids and mask in, logits out."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.resources import sample_lines
from consumer.tagging.model.loaded_model import LoadedModel, count_tokens

#: Windows of the samples on which a peer's quantization is calibrated.
CALIBRATION_WINDOWS = 64


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what a converter tells of its progress; standard output is for results."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class LogitsOf(torch.nn.Module):
    """The network with two inputs and one output."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self._network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Shapes (windows, tokens) to (windows, tokens, outputs)."""
        found: torch.Tensor = self._network(
            input_ids=input_ids, attention_mask=attention_mask
        ).logits
        return found


def example_inputs(model: LoadedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Two windows, one of them filled up, so that nothing is taken for a constant."""
    ids = torch.arange(5, 29).reshape(2, 12) % count_tokens(model.network)
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    return ids, mask


def calibration_windows(model: LoadedModel) -> list[NDArray[np.int64]]:
    """Windows of the sample articles, each of shape (1, tokens)."""
    room = model.max_tokens - model.special_tokens
    return [
        np.array(
            [[*model.prefix_ids, *model.tokenizer.encode(text).ids[:room], *model.suffix_ids]],
            dtype=np.int64,
        )
        for text in itertools.islice(
            (line.decode("utf-8", "replace") for line in sample_lines()), CALIBRATION_WINDOWS
        )
    ]
