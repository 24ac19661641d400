"""An embedding whose gradient touches only the rows that a batch has.

torch makes a gradient of the whole table at every step and clears it again: for 30,000 rows a
tenth of a training step on a CPU. Here the rows are added to one table that stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, weight: torch.Tensor, ids: torch.Tensor, padding_id: int | None
    ) -> torch.Tensor:
        context.weight = weight
        context.ids = ids
        context.padding_id = padding_id
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[None, None, None]:
        weight: torch.Tensor = context.weight
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        rows = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
        weight.grad.index_add_(0, context.ids.flatten(), rows)
        if context.padding_id is not None:
            weight.grad[context.padding_id] = 0
        return None, None, None


class RowGradientEmbedding(nn.Embedding):
    """`torch.nn.Embedding` that adds its gradient to `weight.grad` row by row.

    `clear` must take the place of the optimizer's clearing, with the ids of the step.
    """

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        looked_up: torch.Tensor = _Lookup.apply(self.weight, ids, self.padding_idx)
        return looked_up

    def clear(self, ids: torch.Tensor) -> None:
        """Take the rows of `ids` out of the gradient."""
        if self.weight.grad is not None:
            self.weight.grad[ids.flatten()] = 0


def use_row_gradients(model: PreTrainedModel) -> RowGradientEmbedding | None:
    """Exchange the model's input embedding in place; the weights stay the same tensor.

    Returns:
        None for a table of another kind (I-BERT's is quantized), which stays as it is.
    """
    old = model.get_input_embeddings()
    if type(old) is not nn.Embedding:
        return None
    new = RowGradientEmbedding(
        old.num_embeddings, old.embedding_dim, padding_idx=old.padding_idx, _weight=old.weight
    )
    new.weight = old.weight
    model.set_input_embeddings(new)
    return new
