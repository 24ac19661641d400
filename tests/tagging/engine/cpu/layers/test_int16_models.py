"""Models in layers of 16-bit integers, and models that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from consumer.contracts.errors import ModelError
from consumer.tagging import select
from consumer.tagging.engine.cpu import offers
from consumer.tagging.engine.cpu.layers.int16_layer import Int16Layer
from consumer.tagging.engine.cpu.layers.native_layer import LayerKernel
from consumer.tagging.engine.encoder_layers import find_layers
from consumer.tagging.engine.engine import PackedEngine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import Processor
from consumer.tagging.select import Selection, load_model, select_engine
from tests.support.engines.cpu_engines import engine_of, layers_of
from tests.support.engines.cpu_models import (
    LENGTHS,
    load,
    needs_int16,
    two_headed,
    windows,
)
from tests.support.models.tiny_models import (
    FAMILIES,
    PACKED_FAMILIES,
    tiny_folder,
    tiny_tagger,
)


@needs_int16
@pytest.mark.parametrize("family", PACKED_FAMILIES)
@pytest.mark.parametrize("heads", [2, 4], ids=["by the kernel", "by torch"])
def test_layers_in_sixteen_bits_answer_as_the_model_does(family: str, heads: int) -> None:
    folder = two_headed(family) if heads == 2 else tiny_folder(family)

    def loaded(dtype: str) -> LoadedModel:
        return load_model(str(folder), "", "cpu", dtype, 1)

    expected = PackedEngine(loaded("float32"), with_probabilities=True).run(windows())
    engine = engine_of(loaded("int16"))
    assert [type(layer) for layer in layers_of(engine)] == [Int16Layer, Int16Layer]
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    # bfloat16 may be a hundred times as far off.
    assert np.abs(found.probabilities - expected.probabilities).max() < 5e-3
    assert np.abs(found.probabilities - expected.probabilities).mean() < 5e-4


@pytest.mark.instructions
@needs_int16
def test_a_window_gives_the_same_numbers_in_sixteen_bits_in_any_company() -> None:
    """Bit for bit, in the layers; what is before and after them has the roundings of its shape."""
    model = load_model(str(two_headed("bert-cased")), "", "cpu", "int16", 1)
    layer = layers_of(engine_of(model))[0]
    hidden = torch.randn(sum(LENGTHS), 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        together = layer(hidden[None], window_lengths=LENGTHS)[0].split(LENGTHS)
        for window, found in zip(hidden.split(LENGTHS), together, strict=True):
            alone = layer(window[None], window_lengths=(len(window),))[0]
            assert torch.equal(alone, found)


#: A processor that multiplies nothing better than 16-bit integers by our own kernel.
PLAIN_INT16 = Processor(False, False, False, has_int16=True, prefers_int16=True)


def selected(folder: Path, dtype: str) -> Selection:
    return select_engine(load_model(str(folder), "", "cpu", dtype, 1), with_probabilities=True)


@needs_int16
def test_auto_is_int16_for_models_whose_layers_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    found = selected(tiny_folder("bert-cased"), "auto")
    assert found.model.info.dtype == "int16"
    assert isinstance(layers_of(found.engine)[0], Int16Layer)
    assert selected(tiny_folder("bert-cased"), "float32").model.info.dtype == "float32"
    for family in sorted(set(FAMILIES) - set(PACKED_FAMILIES)):
        found = selected(tiny_folder(family), "auto")
        assert found.model.info.dtype == "float32"
        found.engine.run(windows())
        assert tiny_tagger(family, dtype="auto").info.dtype == "float32"
        with pytest.raises(ModelError, match=r"int16.*; use --dtype auto"):
            selected(tiny_folder(family), "int16")


@needs_int16
def test_a_model_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds of a start."""
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    tried: list[str] = []
    for module, name in ((select, "can_pack"), (offers, "can_fuse")):
        own = getattr(module, name)

        def counted(*given: Any, own: Any = own, name: str = name) -> bool:
            tried.append(name)
            return bool(own(*given))

        monkeypatch.setattr(module, name, counted)
    assert isinstance(layers_of(selected(tiny_folder("bert-cased"), "auto").engine)[0], Int16Layer)
    # In float32, then in 16 bits.
    assert tried == ["can_pack", "can_fuse", "can_fuse"]


@needs_int16
@pytest.mark.parametrize("broken", ["multiply", "finish"])
def test_a_kernel_whose_layers_are_wrong_on_this_machine_is_left_out(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    run = getattr(LayerKernel, broken)
    monkeypatch.setattr(LayerKernel, broken, lambda *given: run(*given) * 1.5)
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    found = selected(tiny_folder("bert-cased"), "auto")
    assert found.model.info.dtype == "float32"
    assert not any(isinstance(layer, Int16Layer) for layer in layers_of(found.engine))
    with pytest.raises(
        ModelError, match="its layers cannot be computed in int16; use --dtype auto"
    ):
        selected(tiny_folder("bert-cased"), "int16")


@needs_int16
def test_a_layer_of_another_structure_is_not_taken_for_a_rounding() -> None:
    """It has all the names, but scales what it gives by less than 16-bit integers may be off."""
    model = load("bert-cased", "int16")
    layers = find_layers(model.network)
    assert layers is not None
    own = layers[1].forward
    layers[1].forward = lambda *given, **named: own(*given, **named) * 1.001
    with pytest.raises(ModelError, match="its layers cannot be computed in int16"):
        select_engine(model, with_probabilities=True)


@needs_int16
def test_widths_that_the_kernel_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(LayerKernel, "takes", lambda _, *widths: asked.append(widths))
    with pytest.raises(ModelError, match="its layers cannot be computed in int16"):
        select_engine(load("bert-cased", "int16"), with_probabilities=True)
    assert asked == [(32, 32, 64)]
