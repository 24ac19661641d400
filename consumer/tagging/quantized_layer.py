"""QuantizedLayer: an encoder's layer whose products are of eight-bit numbers.

Between the products the numbers are float32, attention is bfloat16. A product that eight bits
change too much stays bfloat16, layer by layer, so the same code serves models of any temper.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import gelu, linear

from consumer.tagging.cpu_attention import attend
from consumer.tagging.encoder_layers import LayerWeights
from consumer.tagging.fused_layer import (
    PACKED_FOR_TOKENS,
    Norm,
    PackedLayer,
    PackedProduct,
    joined,
)
from consumer.tagging.quantization import (
    InputSteps,
    activation_steps,
    centred_steps,
    numbers_of,
    product_error,
    quantize_weight,
)

#: A product stays bfloat16 where eight bits change it by more than this share of itself.
MOST_ERROR = 0.05

_log = logging.getLogger(__name__)


class Product(Protocol):
    """One linear layer."""

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (tokens, inputs) of any float type to bfloat16 (tokens, outputs)."""
        ...

    def gelu(self, inputs: torch.Tensor, steps: InputSteps | None) -> torch.Tensor:
        """The same through GELU, and in these steps, where there are some."""
        ...

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The same plus a float32 residual, float32. Inputs may be numbers in its own steps."""
        ...


class HalfProduct:
    """In bfloat16."""

    #: The steps that its inputs may come in.
    steps: InputSteps | None = None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        half = None if bias is None else bias.to(torch.bfloat16)
        self._product = PackedProduct(weight.to(torch.bfloat16), half)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._product(inputs.to(torch.bfloat16))

    def gelu(self, inputs: torch.Tensor, steps: InputSteps | None) -> torch.Tensor:
        found = self._product.gelu(inputs.to(torch.bfloat16))
        return found if steps is None else steps.quantize(found)

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self._product(inputs.to(torch.bfloat16)) + residual


class Int8Product:
    """In eight bits, summed in 32, by oneDNN's quantised product.

    The zero point of the inputs is in the bias, since oneDNN would take it off each sum anew.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, steps: InputSteps) -> None:
        quantized = quantize_weight(weight, steps)
        self.steps = steps
        self._numbers = torch.ops.onednn.qlinear_prepack(
            quantized.numbers, [PACKED_FOR_TOKENS, weight.shape[1]]
        )
        self._weight_steps = quantized.steps
        self._weight_zeros = torch.zeros(len(weight), dtype=torch.int32)
        of_zeros = quantized.numbers.float().sum(dim=1) * quantized.steps * steps.zero_point
        self._bias = -of_zeros if bias is None else bias - of_zeros

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.of_numbers(self.steps.quantize(inputs))

    def of_numbers(self, numbers: torch.Tensor) -> torch.Tensor:
        """The product of inputs that are in its steps already, bfloat16."""
        return self._run(numbers, torch.bfloat16)

    def gelu(self, inputs: torch.Tensor, steps: InputSteps | None) -> torch.Tensor:
        numbers = self.steps.quantize(inputs)
        if steps is None:
            return self._run(numbers, torch.bfloat16, "gelu", "none")
        return self._run(numbers, torch.uint8, "gelu", "none", float(steps.steps), steps.zero_point)

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        numbers = self.steps.quantize(inputs) if inputs.is_floating_point() else inputs
        found: torch.Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            numbers,
            1.0,
            0,
            self._numbers,
            self._weight_steps,
            self._weight_zeros,
            residual,
            self._bias,
            1.0,
            0,
            torch.float32,
            1.0,
            0,
            "add",
            1.0,
            "none",
            [],
            "",
        )
        return found

    def _run(
        self,
        numbers: torch.Tensor,
        dtype: torch.dtype,
        function: str = "none",
        algorithm: str = "",
        output_step: float = 1.0,
        output_zero_point: int = 0,
    ) -> torch.Tensor:
        found: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            numbers,
            1.0,
            0,
            self._numbers,
            self._weight_steps,
            self._weight_zeros,
            self._bias,
            output_step,
            output_zero_point,
            dtype,
            function,
            [],
            algorithm,
        )
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    attention_inputs: HalfProduct | Int8Product
    out: HalfProduct | Int8Product
    up: HalfProduct | Int8Product
    down: HalfProduct | Int8Product


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
        self._attention_norm = Norm(weights.attention_norm, torch.float32)
        self._output_norm = Norm(weights.output_norm, torch.float32)

    @property
    def int8_products(self) -> int:
        """How many of the four are in eight bits."""
        four = self._products
        products = (four.attention_inputs, four.out, four.up, four.down)
        return sum(isinstance(product, Int8Product) for product in products)

    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        products = self._products
        inputs = products.attention_inputs(hidden)
        attended = attend(inputs, window_lengths, self._heads, kept)
        if self._attends_in_steps:
            attended = numbers_of(attended)
        if kept is not None:
            hidden = hidden[kept]
        hidden = self._attention_norm(products.out.plus(attended, hidden))
        activated = products.up.gelu(hidden, products.down.steps)
        return self._output_norm(products.down.plus(activated, hidden))


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
    out = _choose("attention output", *_of(weights.out), attended, centred_steps)
    if out.steps is not None:
        _put_into_values(out.steps, joined_weight, joined_bias)
    products = _Products(
        _choose("attention inputs", joined_weight, joined_bias, hidden, centred_steps),
        out,
        _choose("up", *_of(weights.up), middle, centred_steps),
        _choose("down", *_of(weights.down), activated, activation_steps),
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


def _choose(
    name: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    inputs: torch.Tensor,
    find_steps: Any,
) -> HalfProduct | Int8Product:
    steps = find_steps(inputs, weight)
    error = product_error(inputs, weight, steps)
    _log.debug("%s: eight bits change it by %.2f%%", name, 100 * error)
    # Written so that what is not a number stays bfloat16.
    return Int8Product(weight, bias, steps) if error <= MOST_ERROR else HalfProduct(weight, bias)
