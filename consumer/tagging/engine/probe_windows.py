"""Windows on which an engine tries a model before it rests on it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.model.loaded_model import LoadedModel, count_tokens

#: A prime, so that neighbouring tokens are far apart in the vocabulary.
_STEP = 7919


def probe_windows(model: LoadedModel, lengths: Sequence[int]) -> list[NDArray[np.int32]]:
    """Windows of so many tokens each, the same at every start. A length above the model's limit
    gives a window at that limit."""
    lengths = [min(length, model.max_tokens) for length in lengths]
    vocabulary = count_tokens(model.network)
    ids = np.arange(sum(lengths), dtype=np.int64) * _STEP % vocabulary
    # Some models number padding apart.
    ids[ids == model.pad_id] = (model.pad_id + 1) % vocabulary
    return np.split(ids.astype(np.int32), np.cumsum(lengths)[:-1])


def in_float32(network: Any) -> Any:
    """A network whose weights are all float32: itself, or a copy. Of a network in another precision
    transformers leaves some in float32 (XLNet), so the first says nothing of the rest."""
    weights = [one for one in network.parameters() if one.is_floating_point()]
    if all(one.dtype == torch.float32 for one in weights):
        return network
    return copy.deepcopy(network).float()
