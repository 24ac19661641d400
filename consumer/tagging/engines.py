"""The best engine for a model."""

from __future__ import annotations

from consumer.errors import ModelError
from consumer.tagging.cpu_engine import make_cpu_engine
from consumer.tagging.engine import Engine, PackedEngine, PaddedEngine
from consumer.tagging.model import LoadedModel
from consumer.tagging.packed_attention import can_pack


def make_engine(model: LoadedModel, with_rows: bool) -> Engine:
    """The best engine for a model. Runs it on two short windows to find out; blocks.

    Args:
        with_rows: whether answers hold all probabilities.

    Raises:
        ModelError: the model does not run in the precision that was asked for.
    """
    if can_pack(model):
        if model.device.type == "cpu":
            return make_cpu_engine(model, with_rows)
        # What it rests on takes seconds to import, which a worker on a CPU need not wait for.
        from consumer.tagging.cuda_engine import make_cuda_engine

        return make_cuda_engine(model, with_rows) or PackedEngine(model, with_rows)
    if model.info.dtype == "int8":
        raise ModelError(
            f"model {model.info.name}: it does not run in int8, since its attention cannot be "
            "packed; use --dtype auto"
        )
    return PaddedEngine(model, with_rows)
