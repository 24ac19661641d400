"""VarlenEmbeddings: the embeddings of a token stream in one kernel.

transformers' modules look up words, positions and segments in three kernels, add them up in two,
and normalise the sums in another. Here the segment's row, always the first where none is named, is
part of the positions' table.
"""

from __future__ import annotations

from typing import Any

import torch

from consumer.tagging.engine.cuda.varlen_kernels import EmbedKernel
from consumer.tagging.engine.packed_attention import CannotPack


class VarlenEmbeddings(torch.nn.Module):
    """Takes the place of a model's embeddings.

    Args:
        own: a module with the names of BERT's or DistilBERT's.
        shift: is added to all that it gives; shape (hidden size,), float32.
        dtype: precision of the tables and of what it gives.

    Raises:
        AttributeError: `own` has other names.
    """

    def __init__(
        self, own: Any, shift: torch.Tensor, dtype: torch.dtype, kernel: EmbedKernel
    ) -> None:
        super().__init__()
        self._kernel = kernel
        #: By this name transformers finds it.
        self.word_embeddings = own.word_embeddings
        places = own.position_embeddings.weight.detach().float()
        segments = getattr(own, "token_type_embeddings", None)
        if segments is not None:
            places = places + segments.weight.detach()[0].float()
        self._places = places.to(dtype)
        self._weight = own.LayerNorm.weight.detach().to(dtype)
        self._bias = (own.LayerNorm.bias.detach().float() + shift).to(dtype)
        self._epsilon = own.LayerNorm.eps

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        *others: Any,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        **__: Any,
    ) -> torch.Tensor:
        """Shape (1, tokens) to (1, tokens, hidden size).

        Raises:
            CannotPack: it is called otherwise than `VarlenProgram` calls the model.
        """
        if position_ids is None and others:
            position_ids = others[-1]  # as DistilBERT hands it on
        if input_ids is None or position_ids is None or token_type_ids is not None:
            raise CannotPack
        return self._kernel(
            input_ids[0],
            position_ids[0],
            self.word_embeddings.weight,
            self._places,
            self._weight,
            self._bias,
            self._epsilon,
        )[None]
