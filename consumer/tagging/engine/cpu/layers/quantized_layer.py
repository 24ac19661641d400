"""QuantizedLayer: an encoder's layer whose matmuls are of eight-bit integers.

Between the matmuls values are float32, attention is bfloat16. A matmul that eight bits
change too much stays bfloat16, so the same code serves models of any kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import gelu, linear

from consumer.tagging.engine.cpu.layers.attention import attend
from consumer.tagging.engine.cpu.layers.fused_layer import Norm, joined
from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer
from consumer.tagging.engine.cpu.layers.quantization import (
    InputScales,
    activation_scales,
    centred_scales,
    quantize_scaled,
)
from consumer.tagging.engine.cpu.layers.quantized_linear import Int8Linear, Linear, choose_linear
from consumer.tagging.engine.cpu.layers.row_blocks import RowProbes
from consumer.tagging.engine.encoder_layers import LayerWeights


@dataclass(frozen=True, slots=True, eq=False)
class _Linears:
    attention_inputs: Linear
    out: Linear
    up: Linear
    down: Linear


class QuantizedLayer(PackedLayer):
    """For a packed float32 network.

    Args:
        weights: the layer's, float32; copied.
        linears: the four linear layers.
        quantizes_attended: whether attention gives its answer divided by the scales of the matmul
            that reads it, see `_fold_into_values`.
    """

    def __init__(self, weights: LayerWeights, linears: _Linears, quantizes_attended: bool) -> None:
        super().__init__()
        self._heads = weights.heads
        self._linears = linears
        self._quantizes_attended = quantizes_attended
        self._attention_norm = Norm(weights.attention_norm)
        self._output_norm = Norm(weights.output_norm)

    @property
    def int8_linears(self) -> int:
        """How many of the four are in eight bits."""
        four = self._linears
        linears = (four.attention_inputs, four.out, four.up, four.down)
        return sum(isinstance(one, Int8Linear) for one in linears)

    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        inputs = self.blocks.run(self._linears.attention_inputs, hidden)
        attended = attend(inputs, window_lengths, self._heads, kept)
        if self._quantizes_attended:
            attended = quantize_scaled(attended)
        if kept is not None:
            hidden = hidden[kept]
        return self.blocks.run(self._finish, attended, hidden)

    def _finish(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        linears = self._linears
        hidden = self._attention_norm(linears.out.plus(attended, hidden))
        activated = linears.up.gelu(hidden, linears.down.scales)
        return self._output_norm(linears.down.plus(activated, hidden))

    def row_probes(self) -> RowProbes:
        linears = self._linears
        return {
            **linears.attention_inputs.row_probes("__call__"),
            **linears.out.row_probes("plus"),
            **linears.up.row_probes("gelu", linears.down.scales),
            **linears.down.row_probes("plus"),
        }


@torch.inference_mode()
def quantize_layer(
    weights: LayerWeights, hidden: torch.Tensor, window_lengths: Sequence[int]
) -> tuple[QuantizedLayer, torch.Tensor]:
    """A layer in eight bits, and what the float32 layer makes of its inputs.

    Args:
        hidden: what comes into the layer for the articles of the calibration, float32, shape
            (tokens, hidden size), windows end to end.
    """
    joined_weight, joined_bias = joined(weights, torch.float32)
    inputs = linear(hidden, joined_weight, joined_bias)
    attended = attend(inputs, window_lengths, weights.heads)
    middle = weights.attention_norm(weights.out(attended) + hidden)
    activated = gelu(weights.up(middle))
    output = weights.output_norm(weights.down(activated) + middle)
    out = choose_linear("attention output", *_of(weights.out), attended, centred_scales)
    if out.scales is not None:
        _fold_into_values(out.scales, joined_weight, joined_bias)
    linears = _Linears(
        choose_linear("attention inputs", joined_weight, joined_bias, hidden, centred_scales),
        out,
        choose_linear("up", *_of(weights.up), middle, centred_scales),
        choose_linear("down", *_of(weights.down), activated, activation_scales),
    )
    return QuantizedLayer(weights, linears, quantizes_attended=out.scales is not None), output


def _fold_into_values(scales: InputScales, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Divide the values of attention by the scales, in place. Attention gives means of its values,
    so its answer is divided as well, and needs rounding alone.

    Args:
        scales: of inputs around zero.
        weight, bias: of query, key and value.
    """
    values = slice(2 * len(weight) // 3, None)
    weight[values] /= scales.scales[:, None]
    if bias is not None:
        bias[values] /= scales.scales


def _of(layer: torch.nn.Linear) -> tuple[torch.Tensor, torch.Tensor | None]:
    return layer.weight.detach(), None if layer.bias is None else layer.bias.detach().clone()
