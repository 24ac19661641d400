"""Dropout whose mask is drawn from random bytes, for training on a CPU.

torch draws one Bernoulli number an element, in one thread: a fifth of a training step of a small
BERT (MiniLM-L6, 2 cores of AMD EPYC, torch 2.15). NumPy's SFC64 gives bytes twenty times as fast.
The probability is rounded to a 256th.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softmax
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

#: The name under which transformers knows the attention of training.
TRAINING_ATTENTION = "nerstream_training"

_LEVELS = 256


class DropoutMasks:
    """The source of all masks of one run; not safe for use from several threads."""

    def __init__(self) -> None:
        self.seed(0)

    def seed(self, seed: int) -> None:
        """Begin the sequence of masks that belongs to `seed`."""
        self._draw = np.random.Generator(np.random.SFC64(seed))

    def draw(self, like: torch.Tensor, probability: float) -> torch.Tensor:
        """A mask of the shape and type of `like`: 0 where an element is dropped, and elsewhere
        what keeps the expectation."""
        dropped = round(probability * _LEVELS)
        drawn = np.frombuffer(self._draw.bytes(like.numel()), dtype=np.uint8)
        kept = torch.from_numpy(drawn >= dropped).view(like.shape)
        return kept.to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class ByteDropout(nn.Dropout):
    """`torch.nn.Dropout` with masks from `DropoutMasks`."""

    def __init__(self, probability: float, masks: DropoutMasks) -> None:
        super().__init__(probability)
        self._masks = masks

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return states
        return states * self._masks.draw(states, self.p)

    def __deepcopy__(self, _: dict[int, Any]) -> ByteDropout:
        # A copy of the model is for scoring and saving: it draws nothing.
        return ByteDropout(self.p, self._masks).train(self.training)


def use_byte_dropout(model: PreTrainedModel) -> DropoutMasks:
    """Exchange the model's dropouts in place, those of its attention too where transformers lets
    attention be chosen; gives the source of their masks."""
    masks = DropoutMasks()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, ByteDropout(child.p, masks).train(child.training))
    if getattr(model, "_supports_attention_backend", False) or getattr(
        model, "_supports_sdpa", False
    ):
        _register(masks)
        model.set_attn_implementation(TRAINING_ATTENTION)
    return masks


def _register(masks: DropoutMasks) -> None:
    def attention(
        _module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        **_others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention with its weights written out: shapes (rows, heads, tokens, head size)."""
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = torch.matmul(query, key.transpose(2, 3)) * scale
        if attention_mask is not None:
            scores = scores + attention_mask
        weights = softmax(scores, dim=-1, dtype=scores.dtype)
        if dropout:
            weights = weights * masks.draw(weights, dropout)
        return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights

    AttentionInterface.register(TRAINING_ATTENTION, cast(Any, attention))
    AttentionMaskInterface.register(TRAINING_ATTENTION, cast(Any, eager_mask))
