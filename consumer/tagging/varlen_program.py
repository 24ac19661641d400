"""VarlenProgram: from the inputs of a pass to its reduced answer, all on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from consumer.tagging.model import LoadedModel
from consumer.tagging.pass_layout import PassShape, split_inputs
from consumer.tagging.reduction import reduce_logits
from consumer.tagging.varlen_attention import FLASH


class VarlenProgram:
    """Runs transformers' own modules over a token stream. Nothing in it waits for the device, and
    its kernels depend on the shape alone, so that it can be captured.

    Args:
        model: whose attention becomes `attention`.
        with_rows: whether answers hold all probabilities.
        attention: a name that `register_varlen` was given.
        compiled: let torch compile it, once for all shapes; the first pass takes a minute.
        any_kernel: let torch choose cuDNN's kernel over flash attention's, where it has both. How
            that one cuts its work depends on the neighbours of a window.
    """

    def __init__(
        self,
        model: LoadedModel,
        with_rows: bool,
        attention: str,
        *,
        compiled: bool = False,
        any_kernel: bool = False,
    ) -> None:
        self._network = model.network
        self._with_rows = with_rows
        self._attention = attention
        self._one_kernel = attention == FLASH and not any_kernel
        self._network.config._attn_implementation = attention
        # By address and not by value: torch.compile knows shapes, not our reading of them.
        self._forward: Callable[..., torch.Tensor] = (
            torch.compile(self._reduced, dynamic=True, fullgraph=True)
            if compiled
            else self._reduced
        )

    def __call__(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        """The reduced answer, see `consumer.tagging.reduction`.

        Args:
            inputs: `shape.inputs` numbers, see `consumer.tagging.pass_layout`.
        """
        with self._kernels():
            return self._forward(*split_inputs(inputs, shape), shape.longest)

    def logits(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        """The logits, shape (tokens, outputs), never compiled."""
        with self._kernels():
            return self._logits(*split_inputs(inputs, shape), shape.longest)

    def _kernels(self) -> AbstractContextManager[object]:
        if self._one_kernel:
            return sdpa_kernel(SDPBackend.FLASH_ATTENTION)
        return contextlib.nullcontext()

    def _reduced(
        self, ids: torch.Tensor, positions: torch.Tensor, bounds: torch.Tensor, longest: int
    ) -> torch.Tensor:
        return reduce_logits(self._logits(ids, positions, bounds, longest), self._with_rows)

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
