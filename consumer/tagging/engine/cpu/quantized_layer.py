"""QuantizedLayer: an encoder's layer whose products are of eight-bit numbers.

Between the products the numbers are float32, attention is bfloat16. A product that eight bits
change too much stays bfloat16, layer by layer, so the same code serves models of any temper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import gelu, linear

from consumer.tagging.engine.cpu.attention import attend
from consumer.tagging.engine.cpu.fused_layer import Norm, joined
from consumer.tagging.engine.cpu.packed_layer import PackedLayer
from consumer.tagging.engine.cpu.quantization import (
    InputSteps,
    activation_steps,
    centred_steps,
    numbers_of,
)
from consumer.tagging.engine.cpu.quantized_product import Int8Product, Product, choose_product
from consumer.tagging.engine.cpu.row_blocks import RowProbes
from consumer.tagging.engine.encoder_layers import LayerWeights


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    attention_inputs: Product
    out: Product
    up: Product
    down: Product


class QuantizedLayer(PackedLayer):
    """For a packed float32 network.

    Args:
        weights: the layer's, float32; copied.
        products: the four.
        attends_in_steps: whether values come in the steps of what the attention's output takes.
    """

    def __init__(self, weights: LayerWeights, products: _Products, attends_in_steps: bool) -> None:
        super().__init__()
        self._heads = weights.heads
        self._products = products
        self._attends_in_steps = attends_in_steps
        self._attention_norm = Norm(weights.attention_norm)
        self._output_norm = Norm(weights.output_norm)

    @property
    def int8_products(self) -> int:
        """How many of the four are in eight bits."""
        four = self._products
        products = (four.attention_inputs, four.out, four.up, four.down)
        return sum(isinstance(product, Int8Product) for product in products)

    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        inputs = self.blocks.run(self._products.attention_inputs, hidden)
        attended = attend(inputs, window_lengths, self._heads, kept)
        if self._attends_in_steps:
            attended = numbers_of(attended)
        if kept is not None:
            hidden = hidden[kept]
        return self.blocks.run(self._finish, attended, hidden)

    def _finish(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        products = self._products
        hidden = self._attention_norm(products.out.plus(attended, hidden))
        activated = products.up.gelu(hidden, products.down.steps)
        return self._output_norm(products.down.plus(activated, hidden))

    def row_probes(self) -> RowProbes:
        products = self._products
        return {
            **products.attention_inputs.row_probes("__call__"),
            **products.out.row_probes("plus"),
            **products.up.row_probes("gelu", products.down.steps),
            **products.down.row_probes("plus"),
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
    out = choose_product("attention output", *_of(weights.out), attended, centred_steps)
    if out.steps is not None:
        _put_into_values(out.steps, joined_weight, joined_bias)
    products = _Products(
        choose_product("attention inputs", joined_weight, joined_bias, hidden, centred_steps),
        out,
        choose_product("up", *_of(weights.up), middle, centred_steps),
        choose_product("down", *_of(weights.down), activated, activation_steps),
    )
    return QuantizedLayer(weights, products, attends_in_steps=out.steps is not None), output


def _put_into_values(steps: InputSteps, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Have values come in steps, in place: then so does what is a mean of them, and is rounded
    as it is.

    Args:
        steps: of numbers around zero.
        weight, bias: of query, key and value.
    """
    values = slice(2 * len(weight) // 3, None)
    weight[values] /= steps.steps[:, None]
    if bias is not None:
        bias[values] /= steps.steps


def _of(product: torch.nn.Linear) -> tuple[torch.Tensor, torch.Tensor | None]:
    return product.weight.detach(), None if product.bias is None else product.bias.detach().clone()
