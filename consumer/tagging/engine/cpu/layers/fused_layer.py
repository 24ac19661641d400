"""FusedLayer: an encoder's layer in four matmuls, with weights prepacked for the processor.

Module by module, a layer reads and writes its activations a dozen times between the matmuls. On
a CPU that memory traffic, and the pages for each new tensor, cost as much as a fifth of the whole.
Here query, key and value are one matmul. GELU is applied while the matmul's result is still in
registers, and so is the residual's addition. oneDNN keeps the weights in the order in which its
kernels read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import layer_norm, linear

from consumer.tagging.engine.cpu.layers.attention import LN_2, attend
from consumer.tagging.engine.cpu.layers.packed_layer import LayerMaker, PackedLayer
from consumer.tagging.engine.cpu.layers.row_blocks import RowProbe, RowProbes, noise
from consumer.tagging.engine.cpu.native_attention import Kernel
from consumer.tagging.engine.encoder_layers import LayerWeights

#: Tokens for which the weights are prepacked. oneDNN orders them the same for any larger number.
PREPACKED_FOR_TOKENS = 1_024


class _Linear:
    """What a linear layer is, whatever computes it.

    Args:
        weight: shape (outputs, inputs), float32 or bfloat16.
        bias: shape (outputs,), or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        #: What a library may choose its kernel by.
        self.form = (*weight.shape, weight.dtype, bias is not None)

    def row_probes(self, use: str) -> RowProbes:
        """Another of its form, to try.

        Args:
            use: what its layer calls: `__call__`, `gelu` or `plus`.
        """

        def make() -> RowProbe:
            weight, bias, rows = noise(*self.form)
            other: Any = type(self)(weight, bias)
            if use != "plus":
                return RowProbe(getattr(other, use), rows)
            # A residual of zeros leaves the noise as it is.
            return RowProbe(
                lambda inputs: other.plus(inputs, inputs.new_zeros(len(inputs), len(weight))), rows
            )

        return {(type(self), use, *self.form): make}


class PrepackedLinear(_Linear):
    """A linear layer, its weights in oneDNN's own order.

    Args:
        weight: shape (outputs, inputs), float32 or bfloat16.
        bias: shape (outputs,), or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(weight, bias)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(
            weight.detach().contiguous(), PREPACKED_FOR_TOKENS
        )
        self._bias = None if bias is None else bias.detach().clone()

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (tokens, inputs) to (tokens, outputs)."""
        return self._pointwise(inputs, "none", "")

    def gelu(self, inputs: torch.Tensor) -> torch.Tensor:
        """The same, through the exact GELU."""
        return self._pointwise(inputs, "gelu", "none")

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The same, plus a tensor of the result's shape."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            inputs, residual, self._weight, self._bias, "add"
        )
        return found

    def _pointwise(self, inputs: torch.Tensor, function: str, algorithm: str) -> torch.Tensor:
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._weight, self._bias, function, [], algorithm
        )
        return found


class PlainLinear(_Linear):
    """The same in float32 by torch's own matmul. Without AVX-512 it is 5 to 10 % faster than
    prepacked weights. With GELU inside, prepacked weights take a quarter longer; GELU by itself is
    a twelfth.

    Args:
        weight, bias: as `PrepackedLinear`.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(weight, bias)
        self._weight = weight.detach()
        self._bias = None if bias is None else bias.detach()

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """See `PrepackedLinear`."""
        return linear(inputs, self._weight, self._bias)

    def gelu(self, inputs: torch.Tensor) -> torch.Tensor:
        """See `PrepackedLinear.gelu`."""
        found: torch.Tensor = torch.ops.aten.gelu_(self(inputs))
        return found

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """See `PrepackedLinear.plus`."""
        return self(inputs).add_(residual)


class Norm:
    """Layer normalisation with weights of its own.

    They are float32 whatever the values are. torch computes in float32, and takes an eighth longer
    where it has to widen the weights for each row.
    """

    def __init__(self, norm: torch.nn.LayerNorm) -> None:
        self._shape = norm.normalized_shape
        self._weight = norm.weight.detach().float()
        self._bias = norm.bias.detach().float()
        self._epsilon = norm.eps

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        return layer_norm(values, self._shape, self._weight, self._bias, self._epsilon)


class FusedLayer(PackedLayer):
    """Four matmuls, normalisation and attention in one precision.

    Args:
        weights: the layer's; with a kernel some of them are shared, else they are copied.
        dtype: float32 or bfloat16.
        kernel: computes the attention, in float32, where there is one; torch computes the matmuls.
    """

    def __init__(
        self, weights: LayerWeights, dtype: torch.dtype, kernel: Kernel | None = None
    ) -> None:
        super().__init__()
        self._heads = weights.heads
        self._attend = attend if kernel is None else kernel.attend
        make = PrepackedLinear if kernel is None else PlainLinear
        self._attention_inputs = make(*joined(weights, dtype))
        self._out = make(*_cast(weights.out, dtype))
        self._up = make(*_cast(weights.up, dtype))
        self._down = make(*_cast(weights.down, dtype))
        self._attention_norm = Norm(weights.attention_norm)
        self._output_norm = Norm(weights.output_norm)

    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        inputs = self.blocks.run(self._attention_inputs, hidden)
        attended = self._attend(inputs, window_lengths, self._heads, kept)
        if kept is not None:
            hidden = hidden[kept]
        return self.blocks.run(self._finish, attended, hidden)

    def _finish(self, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        hidden = self._attention_norm(self._out.plus(attended, hidden))
        return self._output_norm(self._down.plus(self._up.gelu(hidden), hidden))

    def row_probes(self) -> RowProbes:
        return {
            **self._attention_inputs.row_probes("__call__"),
            **self._out.row_probes("plus"),
            **self._up.row_probes("gelu"),
            **self._down.row_probes("plus"),
        }


def fused(dtype: torch.dtype, kernel: Kernel | None = None) -> LayerMaker:
    """Makes fused layers; the arguments are those of `FusedLayer`."""
    return partial(FusedLayer, dtype=dtype, kernel=kernel)


def joined(weights: LayerWeights, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of query, key and value as one matmul. Queries are scaled so that their dot
    products with keys are the scores, as exponents of two."""
    factors = (weights.scaling / LN_2, 1.0, 1.0)
    parts = list(zip((weights.query, weights.key, weights.value), factors, strict=True))
    biases = [part.bias.detach() * factor for part, factor in parts if part.bias is not None]
    return (
        torch.cat([part.weight.detach() * factor for part, factor in parts]).to(dtype),
        torch.cat(biases).to(dtype) if biases else None,
    )


def _cast(layer: torch.nn.Linear, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    bias = None if layer.bias is None else layer.bias.to(dtype)
    return layer.weight.to(dtype), bias
