"""The best engine for a model, and the precision in which that computes."""

from __future__ import annotations

import logging
from dataclasses import replace

from consumer.contracts.choices import Dtype
from consumer.contracts.errors import ModelError
from consumer.tagging.engine.cpu.engine import make_cpu_engine
from consumer.tagging.engine.cpu.layer_choice import int16_layers
from consumer.tagging.engine.engine import Engine, PackedEngine, PaddedEngine
from consumer.tagging.engine.packed_attention import can_pack
from consumer.tagging.engine.padded_company import find_company
from consumer.tagging.model.device import CPU_ONLY
from consumer.tagging.model.loaded_model import LoadedModel

_log = logging.getLogger(__name__)


def settle_precision(model: LoadedModel) -> LoadedModel:
    """The model as it says of itself what its engine will compute in: float32 where `auto` would
    take int16 for this processor and the model's layers do not. Runs it on two short windows to
    find out; blocks."""
    if model.asked_dtype != Dtype.AUTO or model.info.dtype != Dtype.INT16:
        return model
    if can_pack(model) and int16_layers(model) is not None:
        return replace(model, is_settled=True)
    return replace(model, info=replace(model.info, dtype=Dtype.FLOAT32.value))


def make_engine(model: LoadedModel, with_probabilities: bool) -> Engine:
    """The best engine for a model. Runs it on a few short windows to find out; blocks.

    Args:
        model: settled, see `settle_precision`.
        with_probabilities: whether answers hold all probabilities.

    Raises:
        ModelError: the model does not run, see `find_company`, or not in the precision that was
            asked for.
    """
    if model.is_settled or can_pack(model):
        if model.device.type == "cpu":
            return make_cpu_engine(model, with_probabilities)
        # What it rests on takes seconds to import, which a worker on a CPU need not wait for.
        from consumer.tagging.engine.cuda.engine import make_cuda_engine

        return make_cuda_engine(model, with_probabilities) or PackedEngine(
            model, with_probabilities
        )
    if model.info.dtype in CPU_ONLY:
        raise ModelError(
            f"model {model.info.name}: it does not run in {model.info.dtype}, since its attention "
            "cannot be packed; use --dtype auto"
        )
    company = find_company(model)
    _log.info("model %s: %s, %s", model.info.name, model.info.dtype, company.value)
    return PaddedEngine(model, with_probabilities, company)
