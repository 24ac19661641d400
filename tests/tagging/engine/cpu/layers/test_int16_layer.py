"""Matmuls of 16-bit integers by our own kernel: their values, what it refuses, its memory."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import gelu, linear

from consumer.tagging.engine.cpu import native_library
from consumer.tagging.engine.cpu.layers.int16_weights import int16_weight
from consumer.tagging.engine.cpu.layers.native_layer import LayerKernel, load_layer_kernel
from consumer.tagging.engine.encoder_layers import LayerWeights, find_layers, read_layer
from consumer.tagging.select import load_model
from tests.support.engines.native_kernels import needs_compiler, run_watched
from tests.support.models.tiny_models import tiny_folder

#: As `nerstream_row_limit` has it.
ROW_LIMIT = 4_095

_runs = (_found := load_layer_kernel()) is not None and _found.runs
needs_kernel = pytest.mark.skipif(not _runs, reason="needs AVX2 and a C compiler at installation")


@pytest.fixture
def kernel() -> LayerKernel:
    found = load_layer_kernel()
    assert found is not None
    return found


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantized(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Integers and scale of each row, as the kernel should make them; float64."""
    largest = rows.abs().amax(dim=1, keepdim=True)
    # A tensor, since torch divides a number by multiplying with the inverse.
    inverse = torch.tensor(float(ROW_LIMIT)) / largest
    return (rows * inverse).round().double(), largest.double() / ROW_LIMIT


@given(
    st.integers(1, 3_000),
    st.floats(-6, 6),
    st.sampled_from(["even", "one", "normal", "nothing"]),
)
def test_no_sum_of_products_leaves_32_bits(inputs: int, level: float, kind: str) -> None:
    weight = {
        "even": torch.ones(1, inputs),
        "one": torch.eye(1, inputs),
        "normal": drawn(1, inputs),
        "nothing": torch.zeros(1, inputs),
    }[kind] * 10.0**level
    found = int16_weight(weight, ROW_LIMIT)
    integers = found.integers.double()
    assert float(integers.abs().sum()) * ROW_LIMIT <= 2**31 - 1
    assert float((integers * found.scales[:, None] - weight).abs().max()) <= 0.51 * found.scales
    if kind == "one":
        assert int(integers.max()) == 2**15 - 1
    if kind == "even":
        assert float(integers.sum()) * ROW_LIMIT > 2**31 * (0.9 if inputs > 20 else 0)


@needs_kernel
@pytest.mark.parametrize("tokens", [1, 5, 6, 7, 13, 191, 192, 193, 390])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (32, 48), (400, 16), (64, 256)])
def test_a_matmul_is_that_of_the_rounded_integers(
    kernel: LayerKernel, tokens: int, inputs: int, outputs: int
) -> None:
    rows, weight, bias = drawn(tokens, inputs), drawn(outputs, inputs, seed=2), drawn(outputs)
    rows *= drawn(tokens, 1, seed=3).exp()
    integers, scales = quantized(rows)
    rounded = int16_weight(weight, ROW_LIMIT)
    expected = integers @ rounded.integers.double().T * scales * rounded.scales.double() + bias
    found = kernel.multiply(kernel.linear(weight, bias), rows)
    assert found.shape == (tokens, outputs)
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
    exact = linear(rows, weight, bias)
    assert float((found - exact).norm() / exact.norm()) < 1e-3
    without = kernel.multiply(kernel.linear(weight, None), rows)
    assert torch.allclose(without + bias, found, atol=1e-5)


@needs_kernel
@pytest.mark.parametrize("inputs", [32, 768, 4_096])
def test_sums_of_the_largest_integers_are_right(kernel: LayerKernel, inputs: int) -> None:
    """All inputs and weights at their limits, all of one sign: the largest sum that there is."""
    rows = torch.ones(7, inputs) * torch.tensor([1.0, -1.0, 3e7, -2e-9, 5.0, 1e20, -1.0])[:, None]
    found = kernel.multiply(kernel.linear(torch.ones(16, inputs), None), rows)
    expected = rows.sum(dim=1, keepdim=True).expand(7, 16)
    # So many weights have integers of 128, if they are all as large.
    assert torch.allclose(found, expected, rtol=5e-3)


@needs_kernel
def test_a_row_has_the_same_numbers_in_any_company(kernel: LayerKernel) -> None:
    """Bit for bit, in matmuls and in the rest of the layer."""
    weights = layer_weights()
    layer = kernel.finished_layer(weights)
    up = kernel.linear(weights.up.weight, weights.up.bias)
    hidden, attended = drawn(400, 32) * 3, drawn(400, 32, seed=2)
    multiplied, finished = kernel.multiply(up, hidden), kernel.finish(layer, attended, hidden)
    for begin, end in ((0, 1), (3, 9), (100, 305), (399, 400)):
        part = slice(begin, end)
        assert torch.equal(kernel.multiply(up, hidden[part]), multiplied[part])
        alone = kernel.finish(layer, attended[part], hidden[part])
        assert torch.equal(alone, finished[part])


@needs_kernel
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stays_none_and_where_it_is(kernel: LayerKernel, bad: float) -> None:
    weights = layer_weights()
    layer = kernel.finished_layer(weights)
    up = kernel.linear(weights.up.weight, weights.up.bias)
    for place in (0, 7, 31):
        hidden, attended = drawn(40, 32), drawn(40, 32, seed=2)
        multiplied = kernel.multiply(up, hidden)
        finished = kernel.finish(layer, attended, hidden)
        others = torch.arange(40) != 9
        spoilt = hidden.clone()
        spoilt[9, place] = bad
        found = kernel.multiply(up, spoilt)
        assert not found[9].isfinite().any()
        assert torch.equal(found[others], multiplied[others])
        for parts in ((spoilt, hidden), (attended, spoilt)):
            found = kernel.finish(layer, *parts)
            assert not found[9].isfinite().any()
        assert torch.equal(found[others], finished[others])


@needs_kernel
def test_rows_of_nothing_and_of_next_to_nothing(kernel: LayerKernel) -> None:
    rows = torch.zeros(4, 32)
    rows[1] = 1e-38
    rows[2, 3] = 1e-44
    rows[3] = 1e-25
    bias = drawn(16)
    found = kernel.multiply(kernel.linear(torch.ones(16, 32), bias), rows)
    assert torch.allclose(found, bias.expand(4, 16))
    apart = kernel.multiply(kernel.linear(torch.ones(16, 32), None), rows)
    assert torch.allclose(apart[3], torch.full((16,), 32e-25), rtol=1e-3)
    # One over their scale is too large for a float32; they count nothing, rather than anything.
    large = kernel.multiply(kernel.linear(torch.eye(16, 32) * 1e30, None), rows)
    assert float(large[:3].abs().max()) <= 1.01e-8


def layer_weights() -> LayerWeights:
    network = load_model(str(tiny_folder("bert-cased")), "", "cpu", "float32", 1).network
    layers = find_layers(network)
    assert layers is not None
    weights = read_layer(layers[0])
    assert weights is not None
    with torch.no_grad():
        # So that GELU bends, and neither normalisation is the plain one.
        for seed, part in enumerate((weights.out, weights.up, weights.down)):
            part.weight.copy_(drawn(*part.weight.shape, seed=seed) * 0.4)
            part.bias.copy_(drawn(len(part.bias), seed=seed))
        for seed, norm in enumerate((weights.attention_norm, weights.output_norm)):
            norm.weight.copy_(drawn(32, seed=seed))
            norm.bias.copy_(drawn(32, seed=seed + 5))
    return weights


@needs_kernel
@pytest.mark.parametrize("tokens", [1, 8, 192, 500])
@torch.inference_mode()
def test_what_comes_after_attention_is_the_layers_own(kernel: LayerKernel, tokens: int) -> None:
    weights = layer_weights()
    hidden, attended = drawn(tokens, 32) * 2, drawn(tokens, 32, seed=2)
    middle = weights.attention_norm(weights.out(attended) + hidden)
    expected = weights.output_norm(weights.down(gelu(weights.up(middle))) + middle)
    found = kernel.finish(kernel.finished_layer(weights), attended, hidden)
    assert float((found - expected).norm() / expected.norm()) < 1e-3
    assert float((found - expected).abs().max()) < 5e-3 * float(expected.abs().max())


@needs_kernel
@torch.inference_mode()
def test_gelu_is_the_exact_one(kernel: LayerKernel) -> None:
    """Each token carries one value through GELU to its outputs, undisturbed by the rest."""
    weights = layer_weights()
    values = torch.linspace(-9, 9, 400)
    for part in (weights.out, weights.up, weights.down):
        part.weight.zero_()
        part.bias.zero_()
    # Normalised, a row of plus and minus one stays as it is; the value is the first bias of up.
    hidden = torch.tensor([1.0, -1.0]).repeat(1, 16)
    weights.attention_norm.weight.fill_(1.0)
    weights.attention_norm.bias.zero_()
    weights.output_norm.weight.fill_(1.0)
    weights.output_norm.bias.zero_()
    weights.down.weight[0, 0] = 1.0
    for value in values:
        weights.up.bias[0] = value
        found = kernel.finish(kernel.finished_layer(weights), torch.zeros(1, 32), hidden)
        middle = weights.attention_norm(hidden)
        own = middle.clone()
        own[0, 0] += gelu(value)
        assert torch.allclose(found, weights.output_norm(own), atol=2e-6)


@needs_kernel
def test_it_refuses_what_would_lead_it_astray(kernel: LayerKernel) -> None:
    with pytest.raises(ValueError, match=r"does not take a weight of \(16, 24\)"):
        kernel.linear(drawn(16, 24), None)
    with pytest.raises(ValueError, match=r"does not take a weight of \(20, 16\)"):
        kernel.linear(drawn(20, 16), None)
    up = kernel.linear(drawn(16, 32), None)
    layer = kernel.finished_layer(layer_weights())
    with pytest.raises(ValueError, match=r"float32 on the CPU, not torch\.bfloat16"):
        kernel.multiply(up, drawn(4, 32).bfloat16())
    with pytest.raises(ValueError, match=r"32 columns, not a shape of \(4, 16\)"):
        kernel.multiply(up, drawn(4, 16))
    with pytest.raises(ValueError, match=r"32 columns, not a shape of \(32,\)"):
        kernel.multiply(up, drawn(32))
    with pytest.raises(ValueError, match="4 tokens attended, of 5"):
        kernel.finish(layer, drawn(4, 32), drawn(5, 32))
    assert kernel.multiply(up, drawn(0, 32)).shape == (0, 16)


@needs_kernel
def test_rows_may_lie_apart(kernel: LayerKernel) -> None:
    up, rows = kernel.linear(drawn(16, 32), None), drawn(60, 32)
    apart = torch.full((60, 100), torch.nan)
    apart[:, 20:52] = rows
    assert torch.equal(kernel.multiply(up, apart[:, 20:52]), kernel.multiply(up, rows))


def test_without_the_library_there_is_no_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native_library, "LIBRARY", tmp_path / "kernels.so")
    load_layer_kernel.cache_clear()
    try:
        assert load_layer_kernel() is None
    finally:
        load_layer_kernel.cache_clear()


@needs_compiler
def test_it_stays_in_its_memory(tmp_path: Path) -> None:
    said = run_watched("layer", tmp_path)
    if _runs:
        assert said == "198 calls\n"
