"""Numbers in eight bits: steps that are found once, on a few articles, and hold for every text.

Steps found anew for each batch would make an article's answer depend on its neighbours, and steps
for each token cost more than the products gain from them here, see docs/decisions/0009. A weight
has a step for each output (per channel). Inputs have one step for the tensor, after a division by
a factor for each channel that the weights take up (SmoothQuant, Xiao et al. 2023), so that a few
channels with large values do not take the resolution of all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import linear

#: Largest number of a symmetric eight-bit scale; -128 is left out.
_LARGEST = 127.0

#: The number of 0.0 where inputs lie around it.
CENTRE = 128

#: How far the factors even out the inputs rather than the weights, 0 to 1.
_SMOOTHINGS = (0.5, 0.75)

#: Largest value that has a number of its own, as a share of the largest that was seen. The rest is
#: cut off there, for the sake of finer steps.
_CUTS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)

#: Tokens of the calibration, and outputs of the product, on which the choice is tried.
_TRIED_TOKENS = 256
_TRIED_OUTPUTS = 192

_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class InputSteps:
    """How a product's inputs become eight-bit numbers: round(input / step) + zero_point, cut off
    at 0 and 255. VNNI multiplies unsigned inputs by signed weights; for signed inputs oneDNN 3.13
    takes its reference code, a thousand times slower.

    Attributes:
        steps: float32, shape (inputs,), or () for one step.
        zero_point: the number of 0.0.
    """

    steps: torch.Tensor
    zero_point: int

    def quantize(self, inputs: torch.Tensor) -> torch.Tensor:
        """Any float type to uint8 of the same shape."""
        shift = torch.tensor(float(self.zero_point - CENTRE)).expand_as(self.steps)
        return numbers_of(torch.addcmul(shift, inputs.float(), self.steps.reciprocal()))

    def rounded(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the numbers stand for, float32."""
        return (self.quantize(inputs).float() - self.zero_point) * self.steps


def numbers_of(scaled: torch.Tensor) -> torch.Tensor:
    """uint8 numbers, 128 for 0.0, of inputs that are in steps around it; those are overwritten."""
    # By way of int8: torch has no vector instructions for float32 to uint8. Flipping the highest
    # bit then adds 128.
    signed = scaled.round_().clamp_(-128.0, 127.0).to(torch.int8)
    return signed.view(torch.uint8).bitwise_xor_(128)


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeight:
    """A weight in whole numbers: `numbers` times `steps`.

    Attributes:
        numbers: int8 or int16, shape (outputs, inputs).
        steps: float32, shape (outputs,).
    """

    numbers: torch.Tensor
    steps: torch.Tensor


def quantize_weight(weight: torch.Tensor, inputs: InputSteps) -> QuantizedWeight:
    """In eight bits, per output channel, symmetric, the steps of its inputs multiplied into it.

    Args:
        weight: float32, shape (outputs, inputs).
    """
    folded = weight * inputs.steps
    steps = (folded.abs().amax(dim=1) / _LARGEST).clamp_min(_TINY)
    numbers = (folded / steps[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
    return QuantizedWeight(numbers, steps)


def centred_steps(inputs: torch.Tensor, weight: torch.Tensor) -> InputSteps:
    """The steps that change a product least, for inputs around zero.

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
        candidates += [InputSteps(factors * largest * cut / _LARGEST, CENTRE) for cut in _CUTS]
    return _best(candidates, inputs, weight)


def activation_steps(inputs: torch.Tensor, weight: torch.Tensor) -> InputSteps:
    """One step and a zero point, for the outputs of GELU: small below zero, large above."""
    low, high = float(inputs.amin().clamp_max(0.0)), float(inputs.amax().clamp_min(_TINY))
    candidates = []
    for cut in _CUTS:
        step = (cut * high - low) / 255.0
        candidates.append(InputSteps(torch.tensor(step), round(-low / step)))
    return _best(candidates, inputs, weight)


def product_error(inputs: torch.Tensor, weight: torch.Tensor, steps: InputSteps) -> float:
    """How far a product lies from its own in float32: root mean square, relative to it; of some
    tokens and outputs, evenly drawn."""
    tried = inputs[:: max(1, len(inputs) // _TRIED_TOKENS)]
    weight = weight[:: max(1, len(weight) // _TRIED_OUTPUTS)]
    numbers = quantize_weight(weight, steps)
    rounded_weight = numbers.numbers.float() * numbers.steps[:, None]
    exact = linear(tried, weight)
    found = linear(steps.quantize(tried).float() - steps.zero_point, rounded_weight)
    return float((found - exact).norm() / exact.norm().clamp_min(_TINY))


def _best(candidates: list[InputSteps], inputs: torch.Tensor, weight: torch.Tensor) -> InputSteps:
    return min(candidates, key=lambda steps: product_error(inputs, weight, steps))
