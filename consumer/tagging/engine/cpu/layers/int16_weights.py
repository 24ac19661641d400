"""A layer's weights in 16 bits, as the kernel of `native_layer` reads them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch

from consumer.tagging.engine.cpu.layers.quantization import QuantizedWeight
from consumer.tagging.engine.encoder_layers import LayerWeights

#: Largest sum of products of an input and a weight.
_LARGEST_SUM = 2**31 - 1

#: Largest integer of a weight.
_LARGEST_INTEGER = 2**15 - 1

_TINY = 1e-30


class LinearFields(ctypes.Structure):
    _fields_ = (
        ("panels", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
    )


class _NormFields(ctypes.Structure):
    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("epsilon", ctypes.c_float),
    )


class LayerFields(ctypes.Structure):
    _fields_ = (
        ("out", LinearFields),
        ("up", LinearFields),
        ("down", LinearFields),
        ("attention_norm", _NormFields),
        ("output_norm", _NormFields),
    )


def int16_weight(weight: torch.Tensor, row_limit: int) -> QuantizedWeight:
    """The finest scales with which no sum leaves 32 bits, whatever the inputs are.

    Args:
        weight: float32, shape (outputs, inputs).
        row_limit: largest integer of an input.
    """
    weight = weight.detach().float()
    # Each integer may be rounded up by a half, and a float32 of thousands is off by a thousandth.
    largest_sum = _LARGEST_SUM // row_limit - 0.51 * weight.shape[1]
    sizes = weight.abs()
    by_sum = (sizes.sum(dim=1, dtype=torch.float64) / largest_sum).float()
    scales = torch.maximum(by_sum, sizes.amax(dim=1) / _LARGEST_INTEGER).clamp_min(_TINY)
    integers = sizes.copy_(weight).div_(scales[:, None]).round_().to(torch.int16)
    return QuantizedWeight(integers, scales)


class Int16Linear:
    """A linear layer in 16 bits, as the kernel reads it.

    Args:
        weight: float32, shape (outputs, inputs), both multiples of `panel_columns`;
            copied.
        bias: shape (outputs,), or None; copied.
        row_limit: largest integer of an input.
        panel_columns: columns of a panel.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, row_limit: int, panel_columns: int
    ) -> None:
        self.outputs, self.inputs = weight.shape
        found = int16_weight(weight, row_limit)
        pairs = found.integers.view(
            self.outputs // panel_columns, panel_columns, self.inputs // 2, 2
        )
        self._panels = pairs.permute(0, 2, 1, 3).contiguous()
        self._scales = found.scales
        self._bias = torch.zeros(self.outputs)
        if bias is not None:
            self._bias.copy_(bias.detach())
        self.fields = LinearFields(
            self._panels.data_ptr(),
            self._scales.data_ptr(),
            self._bias.data_ptr(),
            self.inputs,
            self.outputs,
        )


class _NativeNorm:
    def __init__(self, norm: torch.nn.LayerNorm) -> None:
        self._weight = norm.weight.detach().float().clone()
        self._bias = norm.bias.detach().float().clone()
        self.fields = _NormFields(self._weight.data_ptr(), self._bias.data_ptr(), norm.eps)


class FinishedLayer:
    """What comes after a layer's attention, as the kernel reads it.

    Args:
        weights: copied.
        make: makes one of a weight and a bias.
    """

    def __init__(
        self,
        weights: LayerWeights,
        make: Callable[[torch.Tensor, torch.Tensor | None], Int16Linear],
    ) -> None:
        self.out, self.up, self.down = (
            make(part.weight, part.bias) for part in (weights.out, weights.up, weights.down)
        )
        self._norms = [_NativeNorm(norm) for norm in (weights.attention_norm, weights.output_norm)]
        self.fields = LayerFields(
            self.out.fields,
            self.up.fields,
            self.down.fields,
            *(norm.fields for norm in self._norms),
        )
