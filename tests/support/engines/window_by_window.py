"""Attention window by window: what attention of a whole pass in one call is compared with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention

from consumer.tagging.engine.packed_attention import PACKED, packed_logits
from consumer.tagging.model.attention_functions import use_attention
from consumer.tagging.model.loaded_model import LoadedModel, count_tokens


def window_by_window(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, scale: float
) -> torch.Tensor:
    attended = torch.full_like(query, torch.nan)
    for begin, end in zip(bounds.tolist(), bounds.tolist()[1:], strict=False):
        if begin < end:
            q, k, v = (part[None, begin:end].transpose(1, 2) for part in (query, key, value))
            answer = scaled_dot_product_attention(q, k, v, scale=scale)
            attended[begin:end] = answer.transpose(1, 2)[0]
    return attended


def probe(model: LoadedModel, lengths: list[int]) -> tuple[list[NDArray[np.int32]], torch.Tensor]:
    """Windows, and what the model says of them, attention running window by window."""
    vocabulary = count_tokens(model.network)
    ids = np.random.default_rng(3).integers(5, vocabulary, sum(lengths)).astype(np.int32)
    use_attention(model.network, PACKED)
    flat = torch.from_numpy(ids).long()
    with torch.inference_mode():
        expected = packed_logits(model.network, flat, lengths, model.first_position)
    return np.split(ids, np.cumsum(lengths)[:-1]), expected
