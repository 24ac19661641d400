"""Layers in four matmuls: which models have them, and that they answer as the model does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from consumer.tagging import select
from consumer.tagging.engine.cpu import engine as cpu_engine
from consumer.tagging.engine.cpu import offers
from consumer.tagging.engine.cpu.layers.fused_layer import FusedLayer, fused
from consumer.tagging.engine.cpu.layers.packed_layer import can_fuse
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from consumer.tagging.engine.encoder_layers import find_layers
from consumer.tagging.engine.packed_attention import CannotPack
from consumer.tagging.model.processor import Processor
from consumer.tagging.select import load_model, select_engine
from tests.support.engines.cpu_engines import engine_of, find_modules, layers_of, plain_engine
from tests.support.engines.cpu_models import (
    OWN_FLOAT32,
    load,
    needs_bfloat16,
    two_headed,
    windows,
)
from tests.support.engines.native_kernels import needs_kernel
from tests.support.models.tiny_models import (
    FAMILIES,
    PACKED_FAMILIES,
    tiny_folder,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_fused_where_they_have_the_structure(family: str) -> None:
    model = load(family, "float32")
    plain_attention = model.network.config._attn_implementation
    assert can_fuse(model.network, fused(torch.float32)) == (family in PACKED_FAMILIES)
    assert model.network.config._attn_implementation == plain_attention
    assert not find_modules(model.network)


def test_another_activation_is_not_fused() -> None:
    model = load("bert-cased", "float32")
    layers: Any = find_layers(model.network)
    layers[1].intermediate.intermediate_act_fn = torch.nn.GELU(approximate="tanh")
    assert not can_fuse(model.network, fused(torch.float32))


def test_a_layer_with_something_of_its_own_is_not_fused() -> None:
    """It has all the names, but scales what it gives by a little."""
    model = load("bert-cased", "float32")
    layers = find_layers(model.network)
    assert layers is not None
    own = layers[1].forward
    layers[1].forward = lambda *given, **named: own(*given, **named) * 1.001
    assert not can_fuse(model.network, fused(torch.float32))


@pytest.mark.instructions
@needs_bfloat16
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_fused_layers_answer_as_the_model_does(family: str) -> None:
    expected = plain_engine(family).run(windows())
    engine = engine_of(load(family, "bfloat16"))
    assert all(isinstance(layer, FusedLayer) for layer in layers_of(engine))
    assert len(layers_of(engine)) == 2
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).max() < 0.15
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.01


@pytest.mark.instructions
@needs_kernel
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_layers_of_our_own_answer_in_float32_as_the_model_does(family: str) -> None:
    expected = plain_engine(family, OWN_FLOAT32).run(windows())
    engine = engine_of(load(family, OWN_FLOAT32))
    assert [type(layer) for layer in layers_of(engine)] == [FusedLayer, FusedLayer]
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.array_equal(found.label_ids, expected.label_ids)
    assert np.abs(found.probabilities - expected.probabilities).max() < 1e-5


def test_float32_is_the_models_own_to_the_last_digit_for_who_asks_and_faster_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Processor(has_bfloat16=False, has_int8=False, has_amx=False)
    monkeypatch.setattr(select, "this_processor", lambda: plain)

    def found(folder: Path, dtype: str) -> list[torch.nn.Module]:
        return layers_of(engine_of(load_model(str(folder), "", "cpu", dtype, 1)))

    assert found(two_headed("bert-cased"), "float32") == []
    assert found(tiny_folder("bert-cased"), "auto") == [], "heads of 8"
    kernel = load_kernel()
    takes = kernel is not None and kernel.takes(16)
    assert len(found(two_headed("bert-cased"), "auto")) == (2 if takes else 0)
    monkeypatch.setattr(offers, "load_kernel", lambda: None)
    assert found(two_headed("bert-cased"), "auto") == []


@needs_kernel
def test_attention_in_float32_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that of other precisions, or of who asks for float32 by name, is not."""
    calls: list[int] = []
    run = Kernel.attend

    def counted(self: Kernel, *given: Any) -> torch.Tensor:
        calls.append(1)
        return run(self, *given)

    monkeypatch.setattr(Kernel, "attend", counted)
    for dtype in ("float32", "bfloat16"):
        engine_of(load("bert-cased", dtype)).run(windows())
    assert not calls
    engine = engine_of(load("bert-cased", OWN_FLOAT32))
    assert len(calls) == 2, "the layers are tried"
    engine.run(windows())
    assert len(calls) == 4


@needs_kernel
def test_a_kernel_that_is_wrong_on_this_machine_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Kernel.attend
    monkeypatch.setattr(Kernel, "attend", lambda *given: run(*given) + 0.01)
    model = load("bert-cased", OWN_FLOAT32)
    assert can_fuse(model.network, fused(torch.float32)), "what does without it is as it was"
    assert layers_of(engine_of(model)) == []


def test_float32_and_processors_without_bfloat16_leave_the_layers_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert layers_of(engine_of(load("bert-cased", "float32"))) == []
    monkeypatch.setattr(select, "this_processor", lambda: Processor(False, False, False))
    assert layers_of(engine_of(load("bert-cased", "bfloat16"))) == []


def test_a_long_pass_is_cut_and_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine_of(load("bert-cased", "float32")).run(windows())
    monkeypatch.setattr(cpu_engine, "PART_VALUES", 50 * 64)
    cut = engine_of(load("bert-cased", "float32")).run(windows())
    assert np.array_equal(cut.label_ids, whole.label_ids)
    assert np.allclose(cut.scores, whole.scores, atol=1e-6)
    assert cut.probabilities is not None
    assert whole.probabilities is not None
    assert np.allclose(cut.probabilities, whole.probabilities, atol=1e-6)


@needs_bfloat16
def test_a_fused_layer_refuses_what_it_does_not_know() -> None:
    engine = select_engine(load("bert-cased", "bfloat16"), with_probabilities=False).engine
    layer = layers_of(engine)[0]
    hidden = torch.zeros(1, 4, 32, dtype=torch.bfloat16)
    with pytest.raises(CannotPack):
        layer(hidden)
    with pytest.raises(CannotPack):
        layer(hidden, torch.ones(1, 4), window_lengths=(4,))
    with pytest.raises(CannotPack):
        layer(hidden.expand(2, 4, 32), window_lengths=(4,))
