"""The layer beside its attention, by a kernel of our own, with matmuls of 16-bit integers.

The kernel is `native/layer.c`; see docs/decisions/0015. Inputs are quantized row by row, so a
token's answer depends on nobody else's. Weights have a scale for each output. Nothing is
calibrated.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch

from consumer.tagging.engine.cpu.layers.int16_weights import (
    FinishedLayer,
    Int16Linear,
    LayerFields,
    LinearFields,
)
from consumer.tagging.engine.cpu.native_library import load_from_library
from consumer.tagging.engine.encoder_layers import LayerWeights


class LayerKernel:
    """The compiled kernel, for float32 in and out on the CPU. Releases the interpreter lock.

    Args:
        library: the file.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is another library.
    """

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        pointer, count = ctypes.c_void_p, ctypes.c_int32
        self._multiply, self._finish = functions.nerstream_multiply, functions.nerstream_finish
        self._multiply.restype = self._finish.restype = None
        self._multiply.argtypes = [ctypes.POINTER(LinearFields), pointer, pointer, count, pointer]
        self._finish.argtypes = [
            ctypes.POINTER(LayerFields),
            *[pointer] * 3,
            count,
            pointer,
        ]
        self._work_bytes = functions.nerstream_layer_work
        self._work_bytes.restype, self._work_bytes.argtypes = ctypes.c_int64, [count]
        #: Whether it runs on this processor.
        self.runs = bool(functions.nerstream_can_multiply())
        self._row_limit = int(functions.nerstream_row_limit())
        self._width_step = int(functions.nerstream_width_step())
        #: Whether it is known to be faster than float32 on this processor.
        self.is_fast = bool(functions.nerstream_multiplies_fast())

    def takes(self, *widths: int) -> bool:
        """Whether it has matmuls with so many inputs and outputs, on this processor."""
        return self.runs and all(width % self._width_step == 0 for width in widths)

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Int16Linear:
        """A linear layer for it.

        Raises:
            ValueError: it does not take its widths.
        """
        if not self.takes(*weight.shape):
            raise ValueError(f"the kernel does not take a weight of {tuple(weight.shape)}")
        return Int16Linear(weight, bias, self._row_limit, self._width_step)

    def finished_layer(self, weights: LayerWeights) -> FinishedLayer:
        """What comes after a layer's attention, for it.

        Raises:
            ValueError: it does not take its widths.
        """
        return FinishedLayer(weights, self.linear)

    def multiply(self, linear: Int16Linear, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (tokens, inputs) to (tokens, outputs).

        Raises:
            ValueError: it is called with what it does not take.
        """
        inputs = _checked(inputs, linear.inputs)
        outputs = inputs.new_empty(len(inputs), linear.outputs)
        memory = self._memory(linear.inputs)
        self._multiply(
            linear.fields,
            inputs.data_ptr(),
            outputs.data_ptr(),
            len(inputs),
            memory.data_ptr(),
        )
        return outputs

    def finish(
        self, layer: FinishedLayer, attended: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor:
        """What goes out of a layer.

        Args:
            attended: what its attention gives, shape (tokens, hidden size).
            hidden: what came in, of the same tokens.

        Raises:
            ValueError: it is called with what it does not take.
        """
        attended = _checked(attended, layer.out.inputs)
        hidden = _checked(hidden, layer.out.outputs)
        if len(attended) != len(hidden):
            raise ValueError(f"{len(attended)} tokens attended, of {len(hidden)}")
        outputs = torch.empty_like(hidden)
        memory = self._memory(max(layer.out.inputs, layer.up.outputs))
        self._finish(
            layer.fields,
            attended.data_ptr(),
            hidden.data_ptr(),
            outputs.data_ptr(),
            len(hidden),
            memory.data_ptr(),
        )
        return outputs

    def _memory(self, widest: int) -> torch.Tensor:
        return torch.empty(self._work_bytes(widest), dtype=torch.uint8)


def _checked(values: torch.Tensor, width: int) -> torch.Tensor:
    """The values, checked: the kernel reads and writes where they lie."""
    if values.dtype != torch.float32 or values.device.type != "cpu":
        raise ValueError(f"the kernel takes float32 on the CPU, not {values.dtype}")
    if values.dim() != 2 or values.shape[1] != width:
        raise ValueError(f"the kernel takes {width} columns, not a shape of {tuple(values.shape)}")
    return values.contiguous()


@cache
def load_layer_kernel() -> LayerKernel | None:
    """The kernel of this installation, or None."""
    return load_from_library(LayerKernel)
