"""Which networks take packed layers: not one that looks into its own layers, or has none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer, takes_layers
from consumer.tagging.engine.encoder_layers import find_layers
from tests.support.engines.native_kernels import needs_kernel
from tests.support.models.spoiled_folders import change, load
from tests.support.models.tiny_families import folder_of, loaded
from tests.support.models.tiny_models import SENTENCES, entities_of, tiny_folder, tiny_tagger


def without_layers(folder: Path) -> Path:
    shutil.copytree(tiny_folder(), folder)
    change(folder, num_hidden_layers=0)
    path = folder / "model.safetensors"
    kept = {key: weight for key, weight in load_file(path).items() if ".layer." not in key}
    save_file(kept, path, {"format": "pt"})
    return folder


def test_a_network_that_looks_into_its_layers_keeps_them() -> None:
    model = loaded("Xmod")
    layers = find_layers(model.network)
    assert layers is not None
    assert not takes_layers(model.network, model.first_position)
    assert not any(isinstance(layer, PackedLayer) for layer in layers)
    ordinary = load(tiny_folder())
    assert takes_layers(ordinary.network, ordinary.first_position)
    layers = find_layers(ordinary.network)
    assert layers is not None
    assert not any(isinstance(layer, PackedLayer) for layer in layers)


@needs_kernel
@pytest.mark.parametrize("family", ["Xmod", None])
@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_a_model_that_no_packed_layers_take_runs_by_its_own(
    tmp_path: Path, family: str | None, dtype: str
) -> None:
    """In every precision but those that only packed layers have."""
    folder = folder_of(family) if family else without_layers(tmp_path / "none")
    text = " ".join(SENTENCES)
    expected = entities_of(tiny_tagger(model=str(folder), dtype="float32"), text)
    found = entities_of(tiny_tagger(model=str(folder), dtype=dtype), text)
    assert len(expected) > 3
    same = {(e.start, e.end) for e in expected} & {(e.start, e.end) for e in found}
    assert len(same) > len(expected) / 2
