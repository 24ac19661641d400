"""Quantization to eight bits: scales are found once, on a few articles, and hold for every text.

Scales found anew for each batch would make an article's answer depend on its neighbours. Scales for
each token cost more than the matmuls gain from them here, see docs/decisions/0009. A weight has a
scale for each output (per channel). Inputs have one scale for the tensor. Before that each
channel is divided by a factor, which the weights take up (SmoothQuant, Xiao et al. 2023). So a few
channels with large values do not take the resolution of all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import linear

#: Largest integer of symmetric eight bits; -128 is left out.
_LARGEST = 127.0

#: The integer of 0.0 where inputs lie around it.
CENTRE = 128

#: How far the factors even out the inputs rather than the weights, 0 to 1.
_SMOOTHINGS = (0.5, 0.75)

#: Largest value that has an integer of its own, as a share of the largest that was seen. Larger
#: ones are cut off there, for the sake of finer scales.
_CUTS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)

#: Tokens of the calibration, and outputs of the matmul, on which the choice is tried.
_TRIED_TOKENS = 256
_TRIED_OUTPUTS = 192

_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class InputScales:
    """How a matmul's inputs become eight-bit integers: round(input / scale) + zero_point, cut off
    at 0 and 255. VNNI multiplies unsigned inputs by signed weights; for signed inputs oneDNN 3.13
    takes its reference code, a thousand times slower.

    Attributes:
        scales: float32, shape (inputs,), or () for one scale.
        zero_point: the integer of 0.0.
    """

    scales: torch.Tensor
    zero_point: int

    def quantize(self, inputs: torch.Tensor) -> torch.Tensor:
        """Any float type to uint8 of the same shape."""
        shift = torch.tensor(float(self.zero_point - CENTRE)).expand_as(self.scales)
        return quantize_scaled(torch.addcmul(shift, inputs.float(), self.scales.reciprocal()))

    def rounded(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the integers stand for, float32."""
        return (self.quantize(inputs).float() - self.zero_point) * self.scales


def quantize_scaled(scaled: torch.Tensor) -> torch.Tensor:
    """uint8 integers, 128 for 0.0, of inputs that are divided by their scales already. The inputs
    are overwritten."""
    # By way of int8: torch has no vector instructions for float32 to uint8. Flipping the highest
    # bit then adds 128.
    signed = scaled.round_().clamp_(-128.0, 127.0).to(torch.int8)
    return signed.view(torch.uint8).bitwise_xor_(128)


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeight:
    """A quantized weight: `integers` times `scales`.

    Attributes:
        integers: int8 or int16, shape (outputs, inputs).
        scales: float32, shape (outputs,).
    """

    integers: torch.Tensor
    scales: torch.Tensor


def quantize_weight(weight: torch.Tensor, inputs: InputScales) -> QuantizedWeight:
    """In eight bits, per output channel, symmetric, the scales of its inputs multiplied into it.

    Args:
        weight: float32, shape (outputs, inputs).
    """
    folded = weight * inputs.scales
    scales = (folded.abs().amax(dim=1) / _LARGEST).clamp_min(_TINY)
    integers = (folded / scales[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
    return QuantizedWeight(integers, scales)


def centred_scales(inputs: torch.Tensor, weight: torch.Tensor) -> InputScales:
    """The scales that change a matmul least, for inputs around zero.

    Args:
        inputs: float32, shape (tokens, inputs), of the calibration.
        weight: float32, shape (outputs, inputs).
    """
    input_sizes = inputs.abs().amax(dim=0).clamp_min(_TINY)
    weight_sizes = weight.abs().amax(dim=0).clamp_min(_TINY)
    candidates = []
    for smoothing in _SMOOTHINGS:
        factors = input_sizes**smoothing / weight_sizes ** (1 - smoothing)
        largest = (input_sizes / factors).amax()
        candidates += [InputScales(factors * largest * cut / _LARGEST, CENTRE) for cut in _CUTS]
    return _best(candidates, inputs, weight)


def activation_scales(inputs: torch.Tensor, weight: torch.Tensor) -> InputScales:
    """One scale and a zero point, for the outputs of GELU: small below zero, large above."""
    low, high = float(inputs.amin().clamp_max(0.0)), float(inputs.amax().clamp_min(_TINY))
    candidates = []
    for cut in _CUTS:
        scale = (cut * high - low) / 255.0
        candidates.append(InputScales(torch.tensor(scale), round(-low / scale)))
    return _best(candidates, inputs, weight)


def matmul_error(inputs: torch.Tensor, weight: torch.Tensor, scales: InputScales) -> float:
    """How far a quantized matmul lies from float32: root mean square, relative to it. Tried on
    some tokens and outputs, evenly drawn."""
    tried = inputs[:: max(1, len(inputs) // _TRIED_TOKENS)]
    weight = weight[:: max(1, len(weight) // _TRIED_OUTPUTS)]
    quantized = quantize_weight(weight, scales)
    rounded_weight = quantized.integers.float() * quantized.scales[:, None]
    exact = linear(tried, weight)
    found = linear(scales.quantize(tried).float() - scales.zero_point, rounded_weight)
    return float((found - exact).norm() / exact.norm().clamp_min(_TINY))


def _best(candidates: list[InputScales], inputs: torch.Tensor, weight: torch.Tensor) -> InputScales:
    return min(candidates, key=lambda scales: matmul_error(inputs, weight, scales))
