"""What the engine of a CUDA device runs."""

from __future__ import annotations

from functools import partial

from consumer.contracts.choices import Dtype
from consumer.tagging.engine.offer import Machine, Made, Models, Offer
from consumer.tagging.engine.plain_offers import PLAIN_DTYPES, auto_of
from consumer.tagging.model.loaded_model import LoadedModel


def _make(model: LoadedModel, with_probabilities: bool) -> Made | None:
    # What it rests on takes seconds to import, which a worker on a CPU need not wait for.
    from consumer.tagging.engine.cuda.engine import make_cuda_engine

    engine = make_cuda_engine(model, with_probabilities)
    return None if engine is None else Made(engine, "packed, attention of all windows in one call")


def _cost(_machine: Machine, dtype: Dtype) -> float:
    """Nobody has measured precisions beside each other on a GPU. Both of 16 bits run in its matrix
    units, and in the same ones."""
    return 0.9 if dtype == Dtype.FLOAT32 else 0.1


#: Which attention and which layers a device may have is in `consumer.tagging.engine.cuda.support`.
CUDA_OFFERS = tuple(
    Offer(
        name="attention of all windows in one call",
        dtype=dtype,
        devices=("cuda",),
        models=Models.PACKED,
        cost=partial(_cost, dtype=dtype),
        auto=partial(auto_of, dtype=dtype),
        make=_make,
        # In float32 its layers are the model's own.
        is_plain=dtype == Dtype.FLOAT32,
    )
    for dtype in PLAIN_DTYPES
)
