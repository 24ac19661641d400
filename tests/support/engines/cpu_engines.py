"""Engines of a CPU for tiny models, and their layers."""

from __future__ import annotations

from typing import Any

import torch

from consumer.tagging.engine.cpu.engine import CpuEngine
from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer
from consumer.tagging.engine.engine import Engine, PackedEngine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import select_engine
from tests.support.engines.cpu_models import (
    load,
)


def plain_engine(family: str, dtype: str = "float32") -> PackedEngine:
    """As the model computes by itself, in float32."""
    return PackedEngine(load(family, dtype), with_probabilities=True)


def layers_of(engine: Engine) -> list[torch.nn.Module]:
    assert isinstance(engine, CpuEngine)
    return list(find_modules(engine._model.network))


def find_modules(network: Any) -> list[torch.nn.Module]:
    return [module for module in network.modules() if isinstance(module, PackedLayer)]


def engine_of(model: LoadedModel) -> Engine:
    return select_engine(model, with_probabilities=True).engine
