"""Makes a network's matmuls give a token the same answer whatever else is in its pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear

from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer
from consumer.tagging.engine.cpu.layers.row_blocks import (
    WHOLE,
    Kinds,
    RowBlocks,
    RowProbe,
    RowProbes,
    choose_blocks,
    noise,
    try_rows,
)
from consumer.tagging.engine.cpu.layers.this_processor import this_processor

#: Calls a function for each matmul, as passes are computed: on as many threads.
TryAll = Callable[
    [Callable[[Callable[[], RowProbe]], Kinds], Iterable[Callable[[], RowProbe]]], Iterable[Kinds]
]


class BlockedLinear(torch.nn.Module):
    """A linear layer whose rows go through it in blocks.

    Args:
        own: whose weights it shares.
    """

    def __init__(self, own: torch.nn.Linear, blocks: RowBlocks) -> None:
        super().__init__()
        self.in_features, self.out_features = own.in_features, own.out_features
        self.weight, self.bias = own.weight, own.bias
        self._blocks = blocks

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (..., inputs) to (..., outputs)."""
        rows = inputs.reshape(-1, self.in_features)
        found = self._blocks.run(partial(linear, weight=self.weight, bias=self.bias), rows)
        return found.view(*inputs.shape[:-1], self.out_features)


def steady_rows(network: Any, pass_tokens: int, try_all: TryAll) -> RowBlocks | None:
    """Try a network's matmuls. Where a row's answer depends on how many rows there are, make the
    rows come in blocks, in place.

    Args:
        network: whose layers are replaced already, if they are.
        pass_tokens: most tokens of a pass.
        try_all: see `TryAll`.

    Returns:
        The blocks, `WHOLE` where nothing had to be done; None where no blocks help.
    """
    probes = _row_probes(network)
    tried = list(try_all(partial(_try, pass_tokens=pass_tokens), probes.values()))
    blocks = choose_blocks(tried, pass_tokens)
    if blocks is None or blocks == WHOLE:
        return blocks
    for module in list(network.modules()):
        if isinstance(module, PackedLayer):
            module.blocks = blocks
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(module, name, BlockedLinear(child, blocks))
    return blocks


def _try(make: Callable[[], RowProbe], pass_tokens: int) -> Kinds:
    probe = make()
    # With AMX, oneDNN cuts a sum into parts, and how many depends on the number of rows. Sums of
    # integers are exact in any order, and float32 does not use AMX.
    chooses = probe.rows.dtype in (torch.bfloat16, torch.float16) and this_processor().has_amx
    return try_rows(probe, pass_tokens, chooses)


def _row_probes(network: Any) -> RowProbes:
    """Of layers that were replaced, and of the linear layers that were not."""
    found: dict[tuple[object, ...], Callable[[], RowProbe]] = {}
    for module in network.modules():
        if isinstance(module, PackedLayer):
            found.update(module.row_probes())
        elif type(module) is torch.nn.Linear:
            form = (*module.weight.shape, module.weight.dtype, module.bias is not None)
            found[linear, *form] = partial(_of_linear, *form)
    return found


def _of_linear(outputs: int, width: int, dtype: torch.dtype, biased: bool) -> RowProbe:
    weight, bias, rows = noise(outputs, width, dtype, biased)
    return RowProbe(partial(linear, weight=weight, bias=bias), rows)
