"""The linear layers of a quantized layer: in eight bits, or in bfloat16 where eight are too few."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch

from consumer.tagging.engine.cpu.layers.fused_layer import PREPACKED_FOR_TOKENS, PrepackedLinear
from consumer.tagging.engine.cpu.layers.quantization import (
    InputScales,
    matmul_error,
    quantize_weight,
)
from consumer.tagging.engine.cpu.layers.row_blocks import DIFFERENT_ROWS, RowProbe, RowProbes

#: A layer stays bfloat16 where eight bits change it by more than this share of itself.
MOST_ERROR = 0.05

_log = logging.getLogger(__name__)


class Linear(Protocol):
    """One linear layer."""

    @property
    def scales(self) -> InputScales | None:
        """Those of its inputs, which may come quantized."""
        ...

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (tokens, inputs) of any float type to bfloat16 (tokens, outputs)."""
        ...

    def gelu(self, inputs: torch.Tensor, scales: InputScales | None) -> torch.Tensor:
        """The same through GELU, quantized where there are scales."""
        ...

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The same plus a float32 residual, float32. Inputs may be quantized by its own scales."""
        ...

    def row_probes(self, use: str, scales: InputScales | None = None, /) -> RowProbes:
        """To try it, see `PackedLayer.row_probes`.

        Args:
            use: what its layer calls: `__call__`, `gelu` or `plus`.
            scales: those by which `gelu` quantizes its answer.
        """
        ...


class HalfLinear:
    """In bfloat16."""

    scales: InputScales | None = None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        half = None if bias is None else bias.to(torch.bfloat16)
        self._linear = PrepackedLinear(weight.to(torch.bfloat16), half)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._linear(inputs.to(torch.bfloat16))

    def gelu(self, inputs: torch.Tensor, scales: InputScales | None) -> torch.Tensor:
        found = self._linear.gelu(inputs.to(torch.bfloat16))
        return found if scales is None else scales.quantize(found)

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self._linear(inputs.to(torch.bfloat16)) + residual

    def row_probes(self, use: str, _scales: InputScales | None = None) -> RowProbes:
        # The residual is added after the matmul.
        return self._linear.row_probes("gelu" if use == "gelu" else "__call__")


class Int8Linear:
    """In eight bits, summed in 32, by oneDNN's quantized matmul.

    The zero point of the inputs is in the bias, since oneDNN would take it off each sum anew.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, scales: InputScales
    ) -> None:
        quantized = quantize_weight(weight, scales)
        self.scales = scales
        self._integers = torch.ops.onednn.qlinear_prepack(
            quantized.integers, [PREPACKED_FOR_TOKENS, weight.shape[1]]
        )
        self._form = tuple(weight.shape)
        self._weight_scales = quantized.scales
        self._weight_zeros = torch.zeros(len(weight), dtype=torch.int32)
        of_zeros = quantized.integers.float().sum(dim=1) * quantized.scales * scales.zero_point
        self._bias = -of_zeros if bias is None else bias - of_zeros

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.of_integers(self.scales.quantize(inputs))

    def of_integers(self, integers: torch.Tensor) -> torch.Tensor:
        """The matmul of inputs that are quantized already, bfloat16."""
        return self._run(integers, torch.bfloat16)

    def gelu(self, inputs: torch.Tensor, scales: InputScales | None) -> torch.Tensor:
        return self._gelu(self.scales.quantize(inputs), scales)

    def _gelu(self, integers: torch.Tensor, scales: InputScales | None) -> torch.Tensor:
        if scales is None:
            return self._run(integers, torch.bfloat16, "gelu", "none")
        return self._run(
            integers, torch.uint8, "gelu", "none", float(scales.scales), scales.zero_point
        )

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        integers = self.scales.quantize(inputs) if inputs.is_floating_point() else inputs
        found: torch.Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            integers,
            1.0,
            0,
            self._integers,
            self._weight_scales,
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

    def row_probes(self, use: str, scales: InputScales | None = None) -> RowProbes:
        outputs, width = self._form
        functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
            "__call__": self.of_integers,
            "gelu": lambda integers: self._gelu(integers, scales),
            "plus": lambda integers: self.plus(integers, torch.zeros(len(integers), outputs)),
        }

        def make() -> RowProbe:
            # Sums are exact, so any integers show what another kernel makes of them.
            draw = torch.Generator().manual_seed(0)
            integers = torch.randint(0, 256, (DIFFERENT_ROWS, width), generator=draw)
            return RowProbe(functions[use], integers.to(torch.uint8))

        return {(type(self), use, *self._form, scales is None): make}

    def _run(
        self,
        integers: torch.Tensor,
        dtype: torch.dtype,
        function: str = "none",
        algorithm: str = "",
        output_scale: float = 1.0,
        output_zero_point: int = 0,
    ) -> torch.Tensor:
        found: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            integers,
            1.0,
            0,
            self._integers,
            self._weight_scales,
            self._weight_zeros,
            self._bias,
            output_scale,
            output_zero_point,
            dtype,
            function,
            [],
            algorithm,
        )
        return found


def choose_linear(
    name: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    inputs: torch.Tensor,
    find_scales: Any,
) -> Linear:
    """The layer in eight bits, unless they change it too much.

    Args:
        name: for the log.
        weight, bias: float32.
        inputs: those of the calibration, float32, shape (tokens, inputs).
        find_scales: (inputs, weight) -> the scales for such inputs.
    """
    scales = find_scales(inputs, weight)
    error = matmul_error(inputs, weight, scales)
    _log.debug("%s: eight bits change it by %.2f%%", name, 100 * error)
    # Written so that what is not a number stays bfloat16.
    return Int8Linear(weight, bias, scales) if error <= MOST_ERROR else HalfLinear(weight, bias)
