"""From logits to what is wanted of them, on the device: eight bytes a token travel back.

A reduced answer is one int32 array of shape (2, tokens): the label ids, and the bits of their
probabilities in float32. Where all probabilities are wanted, a row of bits for each output follows.
One array, because each copy from the device has a price of its own, whatever its size.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.engine.engine import Answer


def reduced_height(outputs: int, with_probabilities: bool) -> int:
    """Rows of a reduced answer.

    Args:
        outputs: outputs of the classifier.
        with_probabilities: whether all probabilities are wanted.
    """
    return 2 + (outputs if with_probabilities else 0)


def reduce_logits(logits: torch.Tensor, with_probabilities: bool) -> torch.Tensor:
    """The reduced answer; a probability is not a number where a logit of its token is not finite.

    Args:
        logits: shape (tokens, outputs), any precision.
    """
    probabilities = logits.float().softmax(dim=-1)
    probabilities = probabilities.masked_fill(
        ~logits.isfinite().all(dim=-1, keepdim=True), torch.nan
    )
    scores, label_ids = probabilities.max(dim=-1)
    parts = [label_ids.to(torch.int32)[None], scores.view(torch.int32)[None]]
    if with_probabilities:
        parts.append(probabilities.t().contiguous().view(torch.int32))
    return torch.cat(parts)


def read_answer(reduced: NDArray[np.int32], tokens: int) -> Answer:
    """The answer of the first `tokens` tokens, copied: the array is overwritten by a later pass."""
    probabilities = reduced[2:, :tokens].T.copy().view(np.float32) if len(reduced) > 2 else None
    return Answer(
        label_ids=reduced[0, :tokens].astype(np.int16),
        scores=reduced[1, :tokens].copy().view(np.float32),
        probabilities=probabilities,
    )
