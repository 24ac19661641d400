"""VarlenProgram: from the inputs of a pass to its reduced answer, all on the device."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from consumer.tagging.engine.cuda.pass_layout import PassShape, split_inputs
from consumer.tagging.engine.cuda.reduction import reduce_logits
from consumer.tagging.engine.cuda.varlen_attention import FLASH
from consumer.tagging.engine.cuda.varlen_kernels import kernels_of
from consumer.tagging.engine.cuda.varlen_layer import fuse_network
from consumer.tagging.model.attention_functions import attention_of, use_attention
from consumer.tagging.model.loaded_model import LoadedModel


class VarlenProgram:
    """Runs a model's modules over a token stream. Nothing in it waits for the device, and
    its kernels depend on the shape alone, so that it can be captured.

    Args:
        model: whose attention becomes `attention`.
        with_probabilities: whether answers hold all probabilities.
        attention: a name that `register_varlen` was given.
        fused: put `VarlenLayer` in the place of the model's own layers, see `fuse_network`.
    """

    def __init__(
        self,
        model: LoadedModel,
        with_probabilities: bool,
        attention: str,
        *,
        fused: bool = False,
    ) -> None:
        self._network = model.network
        self._with_probabilities = with_probabilities
        self._attention = attention
        self._plain_attention = attention_of(self._network)
        self._unfuse = fuse_network(self._network, kernels_of(attention)) if fused else None
        use_attention(self._network, attention)

    def restore(self) -> None:
        """Leave the model as it was; the program is of no use then."""
        use_attention(self._network, self._plain_attention)
        if self._unfuse is not None:
            self._unfuse()

    def __call__(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        """The reduced answer, see `consumer.tagging.engine.cuda.reduction`.

        Args:
            inputs: `shape.inputs` integers, see `consumer.tagging.engine.cuda.pass_layout`.
        """
        with self._kernels():
            logits = self._logits(*split_inputs(inputs, shape), shape.longest)
            return reduce_logits(logits, self._with_probabilities)

    def logits(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        """The logits, shape (tokens, outputs)."""
        with self._kernels():
            return self._logits(*split_inputs(inputs, shape), shape.longest)

    def _kernels(self) -> AbstractContextManager[object]:
        # torch may choose cuDNN's kernel on a Hopper, which cuts its work by the neighbours of a
        # window, and plans it anew at each call.
        if self._attention == FLASH:
            return sdpa_kernel(SDPBackend.FLASH_ATTENTION)
        return contextlib.nullcontext()

    def _logits(
        self, ids: torch.Tensor, positions: torch.Tensor, bounds: torch.Tensor, longest: int
    ) -> torch.Tensor:
        logits: torch.Tensor = self._network(
            # Half the bytes travel; the modules look up by int64.
            input_ids=ids.long()[None],
            position_ids=positions.long()[None],
            window_bounds=bounds,
            longest_window=longest,
        ).logits[0]
        return logits
