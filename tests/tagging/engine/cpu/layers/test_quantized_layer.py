"""Layers in eight bits: nearly the float32 answers, and the same ones in any company."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from consumer.contracts.errors import ModelError
from consumer.tagging.engine.cpu.layers.quantized_layer import QuantizedLayer, quantize_layer
from consumer.tagging.engine.cpu.layers.quantized_linear import Int8Linear
from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.select import load_model, select_engine
from tests.support.engines.cpu_engines import engine_of, layers_of, plain_engine
from tests.support.engines.cpu_models import (
    load,
    needs_int8,
    windows,
)
from tests.support.models.tiny_models import (
    PACKED_FAMILIES,
    save_tiny_model,
)


@pytest.mark.instructions
@needs_int8
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_layers_in_eight_bits_answer_nearly_as_the_model_does(family: str) -> None:
    expected = plain_engine(family).run(windows())
    engine = engine_of(load(family, "int8"))
    layers = layers_of(engine)
    assert len(layers) == 2
    quantized = [layer for layer in layers if isinstance(layer, QuantizedLayer)]
    assert sum(layer.int8_linears for layer in quantized) >= 4
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.03


@needs_int8
def test_the_same_model_has_the_same_scales_at_every_start() -> None:
    first, second = (engine_of(load("bert-cased", "int8")).run(windows()) for _ in range(2))
    assert first.probabilities is not None
    assert second.probabilities is not None
    assert np.array_equal(first.probabilities, second.probabilities)


@pytest.mark.instructions
@needs_int8
def test_a_window_gives_the_same_numbers_in_eight_bits_in_any_company() -> None:
    """Bit for bit: no scale depends on what else is in the pass."""
    engine = engine_of(load("bert-cased", "int8"))
    together = engine.run(windows())
    alone = [engine.run([window]) for window in windows()]
    assert np.array_equal(together.label_ids, np.concatenate([one.label_ids for one in alone]))
    apart = np.abs(together.scores - np.concatenate([one.scores for one in alone]))
    assert apart.max() < 2**-8


@needs_int8
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_layer_in_eight_bits_gives_nearly_its_float32_answer(
    monkeypatch: pytest.MonkeyPatch, has_bias: bool
) -> None:
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.quantized_linear.MOST_ERROR", 1.0)
    layers = find_layers(load("bert-cased", "float32").network)
    assert layers is not None
    weights = read_layer(layers[0])
    assert weights is not None
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        # So that what attention gives outweighs what stands beside it.
        weights.out.weight *= 300
        for part in (weights.query, weights.key, weights.value):
            if has_bias:
                part.bias.copy_(torch.randn(len(part.bias), generator=draw))
            else:
                part.register_parameter("bias", None)
    hidden = torch.randn(57, weights.value.in_features, generator=draw)
    layer, expected = quantize_layer(weights, hidden, (50, 7))
    assert layer.int8_linears == 4
    for kept in (None, torch.arange(3, 55, 2)):
        found = layer.compute(hidden, (50, 7), kept)
        wanted = expected if kept is None else expected[kept]
        assert float((found - wanted).norm() / wanted.norm()) < 0.05


@needs_int8
def test_a_matmul_that_eight_bits_change_too_much_stays_in_sixteen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.quantized_linear.MOST_ERROR", 0.0)
    engine = engine_of(load("bert-cased", "int8"))
    assert [layer.int8_linears for layer in layers_of(engine)] == [0, 0]
    expected = plain_engine("bert-cased").run(windows())
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).max() < 0.15


@needs_int8
def test_a_model_that_eight_bits_cannot_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not run in int8, since its attention cannot be pa"):
        select_engine(load("deberta-v3", "int8"), with_probabilities=False)
    folder = save_tiny_model(tmp_path / "model")
    model = load_model(str(folder), "", "cpu", "int8", 1)
    layers: Any = find_layers(model.network)
    layers[0].intermediate.intermediate_act_fn = torch.nn.ReLU()
    with pytest.raises(ModelError, match="its layers cannot be computed in int8; use --dtype auto"):
        select_engine(model, with_probabilities=False)


def test_not_a_number_stays_one_in_eight_bits() -> None:
    """The residual carries it past the matmuls, which have no number for it."""
    if not this_processor().has_int8:
        pytest.skip("needs a processor with AVX-512 VNNI")
    model = load("bert-cased", "int8")
    engine = select_engine(model, with_probabilities=False).engine
    poisoned = windows((8, 8))
    with torch.no_grad():
        model.network.get_input_embeddings().weight[int(poisoned[0][3])] = float("nan")
    answer = engine.run([poisoned[0], np.delete(poisoned[1], poisoned[1] == poisoned[0][3])])
    assert np.isnan(answer.scores[3])
    assert not np.isnan(answer.scores[8:]).any()


@pytest.mark.instructions
@needs_int8
def test_matmuls_are_those_of_the_rounded_integers() -> None:
    from consumer.tagging.engine.cpu.layers.quantization import centred_scales, quantize_weight

    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(48, 32, generator=generator)
    bias = torch.randn(48, generator=generator)
    inputs = torch.randn(20, 32, generator=generator) * torch.linspace(0.1, 3.0, 32)
    scales = centred_scales(inputs, weight)
    quantized = quantize_weight(weight, scales)
    rounded_weight = quantized.integers.float() * quantized.scales[:, None] / scales.scales
    expected = scales.rounded(inputs) @ rounded_weight.T + bias
    linear = Int8Linear(weight, bias, scales)
    found = linear(inputs)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, rtol=2**-7, atol=1e-2)
    residual = torch.randn(20, 48, generator=generator)
    assert torch.allclose(linear.plus(inputs, residual), expected + residual, atol=1e-4)
    activated = linear.gelu(inputs, None)
    exact = torch.nn.functional.gelu(expected)
    assert torch.allclose(activated.float(), exact, rtol=2**-7, atol=2e-2)
    into = replace(scales, scales=torch.tensor(0.05), zero_point=10)
    coded = linear.gelu(inputs, into)
    assert coded.dtype == torch.uint8
    assert ((coded.float() - 10) * 0.05 - exact.clamp(-0.5, 12.25)).abs().max() < 0.06
