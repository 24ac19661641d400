"""What runs on any device: a model by its own layers, its windows packed or side by side."""

from __future__ import annotations

from functools import partial

from consumer.contracts.choices import Dtype
from consumer.tagging.engine.engine import PackedEngine, PaddedEngine
from consumer.tagging.engine.length_switch import length_switches, told
from consumer.tagging.engine.offer import Auto, Machine, Made, Make, Models, Offer
from consumer.tagging.engine.padded_company import find_company
from consumer.tagging.model.loaded_model import LoadedModel

#: What padding adds to a pass, by the contests beside the Hugging Face pipeline.
_PADDING = 1.4

#: A pass in a precision that the processor does not multiply: values are converted one by one. It
#: is slower than float32; by how much decides nothing.
_CONVERTED = 2.0

#: A pass in 16 bits that it multiplies. Matmuls take 0.4 of float32's time, and what is between
#: them, a third of a pass, takes as long as before.
_HALF = 0.6


def _is_multiplied(dtype: Dtype, machine: Machine) -> bool:
    """Whether a machine has matmuls in float32, bfloat16 or float16, and need not convert."""
    if machine.device.type == "cuda" or dtype == Dtype.FLOAT32:
        return True
    return dtype == Dtype.BFLOAT16 and machine.processor.has_bfloat16


def plain_cost(machine: Machine, dtype: Dtype, padding: float = 1.0) -> float:
    """What a pass by the model's own layers costs, see `Offer.cost`."""
    if dtype == Dtype.FLOAT32:
        return padding
    return padding * (_HALF if _is_multiplied(dtype, machine) else _CONVERTED)


def auto_of(machine: Machine, dtype: Dtype) -> Auto:
    """For which models `auto` is float32, bfloat16 or float16. Of float16 nobody has measured the
    entities; bfloat16 is for what multiplies it."""
    is_for_all = dtype != Dtype.FLOAT16 and _is_multiplied(dtype, machine)
    return Auto.ANY if is_for_all else Auto.NEVER


def _packed(model: LoadedModel, with_probabilities: bool) -> Made:
    return Made(PackedEngine(model, with_probabilities), "packed, layers as they are")


def _padded(model: LoadedModel, with_probabilities: bool) -> Made:
    company, switches = find_company(model), length_switches(model)
    engine = PaddedEngine(model, with_probabilities, company, switches)
    return Made(engine, ", ".join([company.value, *told(switches)]))


#: Precisions that torch's modules compute on any device, most exact first.
PLAIN_DTYPES = (Dtype.FLOAT32, Dtype.BFLOAT16, Dtype.FLOAT16)


def plain_offers(
    name: str, devices: tuple[str, ...], models: Models, make: Make, padding: float = 1.0
) -> tuple[Offer, ...]:
    """One way of running a model by its own layers, in each precision that they have."""
    return tuple(
        Offer(
            name=name,
            dtype=dtype,
            devices=devices,
            models=models,
            cost=partial(plain_cost, dtype=dtype, padding=padding),
            auto=partial(auto_of, dtype=dtype),
            make=make,
            is_plain=True,
        )
        for dtype in PLAIN_DTYPES
    )


#: For a model that cannot be packed.
PADDED_OFFERS = plain_offers("padded windows", ("cpu", "cuda"), Models.ANY, _padded, _PADDING)

#: For a GPU whose own engine does not take the model; a CPU's takes every packed one.
PACKED_OFFERS = plain_offers(
    "packed windows, one attention call each", ("cuda",), Models.PACKED, _packed
)
