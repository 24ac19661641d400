"""Int16Layer: an encoder's layer whose matmuls are of 16-bit integers, by kernels of our own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from consumer.tagging.engine.cpu.layers.attention import attend
from consumer.tagging.engine.cpu.layers.fused_layer import joined
from consumer.tagging.engine.cpu.layers.native_layer import LayerKernel, load_layer_kernel
from consumer.tagging.engine.cpu.layers.packed_layer import LayerMaker, PackedLayer
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from consumer.tagging.engine.encoder_layers import LayerWeights, find_layers, read_layer

#: Largest difference from float32, relative to the largest value, that 16-bit integers explain in
#: what a layer gives. The models that we tried have 7e-4 at most.
TOLERANCE = 1e-2


class Int16Layer(PackedLayer):
    """For a packed float32 network.

    Args:
        weights: the layer's; copied.
        kernel: computes all but the attention.
        attention: computes that, in float32, if it takes the heads; else torch does.
    """

    def __init__(
        self, weights: LayerWeights, kernel: LayerKernel, attention: Kernel | None
    ) -> None:
        super().__init__()
        self._heads = weights.heads
        self._kernel = kernel
        takes_heads = attention is not None and attention.takes(weights.head_size)
        self._attend = attention.attend if attention is not None and takes_heads else attend
        self._attention_inputs = kernel.linear(*joined(weights, torch.float32))
        self._finished = kernel.finished_layer(weights)

    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        inputs = self._kernel.multiply(self._attention_inputs, hidden)
        attended = self._attend(inputs, window_lengths, self._heads, kept)
        if kept is not None:
            hidden = hidden[kept]
        return self._kernel.finish(self._finished, attended, hidden)


def in_16_bits(network: Any) -> LayerMaker | None:
    """Makes such layers, if this installation has a kernel that takes a network's."""
    kernel, layers = load_layer_kernel(), find_layers(network)
    if kernel is None or layers is None:
        return None
    for layer in layers:
        weights = read_layer(layer)
        assert weights is not None
        if not kernel.takes(
            weights.query.in_features, weights.query.out_features, weights.up.out_features
        ):
            return None
    return partial(Int16Layer, kernel=kernel, attention=load_kernel())
