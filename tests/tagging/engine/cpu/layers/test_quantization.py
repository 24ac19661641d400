"""Scales of eight-bit integers: what they round to, and how they are chosen."""

from __future__ import annotations

import torch

from consumer.tagging.engine.cpu.layers.quantization import (
    CENTRE,
    InputScales,
    activation_scales,
    centred_scales,
    matmul_error,
    quantize_weight,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_inputs_are_rounded_to_the_nearest_integer_and_cut_off() -> None:
    scales = InputScales(torch.tensor([0.5, 2.0]), CENTRE)
    inputs = torch.tensor([[0.0, 0.0], [0.7, -3.1], [1e6, -1e6]])
    assert scales.quantize(inputs).tolist() == [[128, 128], [129, 126], [255, 0]]
    assert scales.quantize(inputs).dtype == torch.uint8
    assert scales.rounded(inputs)[1].tolist() == [0.5, -4.0]


def test_one_scale_holds_for_bfloat16_as_for_float32() -> None:
    """A multiplication in bfloat16 would round 200.5 to 200 or 201 at random."""
    inputs = torch.arange(0, 12, 0.0625)
    scales = InputScales(torch.tensor(0.0625), 3)
    assert torch.equal(
        scales.quantize(inputs.bfloat16()), scales.quantize(inputs.bfloat16().float())
    )
    assert scales.quantize(inputs.bfloat16())[:4].tolist() == [3, 4, 5, 6]


def test_weights_have_a_scale_for_each_output() -> None:
    weight = drawn(6, 10) * torch.tensor([1.0, 10, 0.1, 1, 1, 100])[:, None]
    scales = InputScales(torch.full((10,), 0.25), CENTRE)
    found = quantize_weight(weight, scales)
    assert found.integers.dtype == torch.int8
    assert found.integers.abs().amax(dim=1).tolist() == [127] * 6
    again = found.integers.float() * found.scales[:, None] / 0.25
    assert ((again - weight).abs() <= found.scales[:, None] / 0.25 / 2 * 1.001).all()


def test_a_weight_of_zeros_stays_finite() -> None:
    found = quantize_weight(torch.zeros(3, 4), InputScales(torch.ones(4), CENTRE))
    assert torch.isfinite(found.scales).all()
    assert not found.integers.any()


def test_a_channel_of_large_values_does_not_cost_the_others_their_resolution() -> None:
    inputs, weight = drawn(200, 32), drawn(24, 32, seed=1)
    inputs[:, 5] *= 100
    weight[:, 5] /= 100
    one_for_all = InputScales(inputs.abs().amax() / 127 * torch.ones(32), CENTRE)
    chosen = centred_scales(inputs, weight)
    assert matmul_error(inputs, weight, chosen) < 0.02
    assert matmul_error(inputs, weight, one_for_all) > 0.1


def test_zero_has_an_integer_of_its_own_behind_gelu() -> None:
    inputs = torch.nn.functional.gelu(drawn(100, 64) * 3)
    scales = activation_scales(inputs, drawn(16, 64, seed=1))
    assert scales.rounded(torch.zeros(1)).item() == 0.0
    assert 0 < scales.zero_point < 64
    assert matmul_error(inputs, drawn(16, 64, seed=1), scales) < 0.02


def test_rare_large_values_are_cut_off_for_the_sake_of_the_rest() -> None:
    inputs = torch.nn.functional.gelu(drawn(256, 64))
    inputs[7, 3] = 500.0
    weight = drawn(16, 64, seed=1)
    weight[:, 3] = 0.0
    scales = activation_scales(inputs, weight)
    assert float(scales.scales) * 255 < 0.5 * 500
