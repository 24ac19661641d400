"""In which precision a model is loaded, and which engine runs it: every engine is asked here.

Engines say what they run, where, and what it costs (`consumer.tagging.engine.offer`). A precision
is chosen before the weights are read, by the machine and by what is known of the model. Whether an
engine takes the model at hand is tried, the cheapest offer first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from consumer.contracts.choices import Dtype
from consumer.contracts.errors import ModelError, class_and_line
from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.engine.cpu.offers import CPU_OFFERS
from consumer.tagging.engine.cuda.offers import CUDA_OFFERS
from consumer.tagging.engine.engine import Engine, is_out_of_memory
from consumer.tagging.engine.offer import Auto, Machine, Made, Models, Offer
from consumer.tagging.engine.packed_attention import can_pack
from consumer.tagging.engine.padded_company import DoesNotRunInPrecision
from consumer.tagging.engine.plain_offers import PACKED_OFFERS, PADDED_OFFERS
from consumer.tagging.model.attention_functions import attention_of, use_attention
from consumer.tagging.model.device import find_device, loaded_as
from consumer.tagging.model.faithful_dtypes import read_faithful_dtypes
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.guard.checksum import NO_PINS, Pins
from consumer.tagging.model.loaded_model import LoadedModel, load_from_folder

#: Of all engines; of two that cost the same the first is taken.
OFFERS: tuple[Offer, ...] = (*CPU_OFFERS, *CUDA_OFFERS, *PACKED_OFFERS, *PADDED_OFFERS)

#: Those that may be faster than float32, most exact first.
_LOW_DTYPES = (Dtype.INT16, Dtype.BFLOAT16, Dtype.FLOAT16, Dtype.INT8)

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A model with the engine that runs it.

    Attributes:
        model: as it was loaded; its info says in which precision the engine computes.
    """

    model: LoadedModel
    engine: Engine


def this_machine(device: torch.device) -> Machine:
    """This machine, for a model on one of its devices."""
    return Machine(device, this_processor())


def offers_for(dtype: str, machine: Machine, faithful: Collection[str] = ()) -> list[Offer]:
    """What the engines offer, cheapest first.

    Args:
        dtype: the precision; `auto` takes any that keeps the entities.
        faithful: precisions in which the model is known to keep its entities, for `auto`.
    """

    def may(offer: Offer) -> bool:
        if not (machine.device.type in offer.devices and offer.runs_on(machine)):
            return False
        if dtype != Dtype.AUTO:
            return offer.dtype == dtype
        auto = offer.auto(machine)
        return auto is Auto.ANY or (auto is Auto.FAITHFUL and offer.dtype in faithful)

    return sorted(filter(may, OFFERS), key=lambda offer: offer.cost(machine))


def check_dtype(name: str, dtype: str, machine: Machine) -> None:
    """Refuse a precision that no engine offers here.

    Args:
        name: the model, for the error.
        dtype: `auto` is never refused.

    Raises:
        ModelError: there is no such precision, or none here.
    """
    if dtype not in list(Dtype):
        raise ModelError(f"model {name}: unknown dtype {dtype!r}; --dtype takes {', '.join(Dtype)}")
    if offers_for(dtype, machine):
        return
    here = [
        offer for offer in OFFERS if offer.dtype == dtype and machine.device.type in offer.devices
    ]
    if not here:
        raise ModelError(
            f"model {name}: dtype {dtype} is for the CPU; use --dtype auto on {machine.device}"
        )
    raise ModelError(f"model {name}: dtype {dtype} needs {here[0].needs}; use --dtype auto")


def choose_dtype(name: str, dtype: str, machine: Machine, faithful: Collection[str]) -> Dtype:
    """The precision that a setting names. Says in the log what `auto` is.

    Args:
        name: the model, for the log.
        dtype: one that `check_dtype` has let through.
        faithful: see `offers_for`.
    """
    if dtype != Dtype.AUTO:
        return Dtype(dtype)
    costs: dict[Dtype, float] = {}
    for offer in offers_for(dtype, machine, faithful):
        costs.setdefault(offer.dtype, offer.cost(machine))
    chosen = min(costs, key=costs.__getitem__)
    _log.info(
        "model %s: dtype auto is %s on %s; time beside float32's: %s",
        name,
        chosen,
        machine.device,
        ", ".join(f"{one} {cost:.2f}" for one, cost in costs.items()),
    )
    return chosen


def fast_precisions(machine: Machine) -> tuple[Dtype, ...]:
    """The low precisions that a machine computes faster than float32, most exact first."""
    return tuple(
        dtype
        for dtype in _LOW_DTYPES
        if any(offer.cost(machine) < 1 for offer in offers_for(dtype, machine))
    )


def load_model(
    name: str,
    revision: str,
    device: str,
    dtype: str,
    threads: int,
    *,
    modules_of_transformers: bool = False,
    pins: Pins = NO_PINS,
) -> LoadedModel:
    """Load a model. Blocks, for the download too where it is on the hub and not yet here.

    Args:
        name: hub id, local folder or `bundled`.
        revision: commit, tag or branch of the hub repository; empty takes `main`.
        device: see `consumer.contracts.choices.DEVICE_FORMS`.
        dtype: one of `consumer.contracts.choices.Dtype`.
        threads: CPU threads for the whole process; 0 leaves it to torch.
        modules_of_transformers: load its modules for a BERT too, see `consumer.tagging.model.bert`.
        pins: what it must be.

    Raises:
        ModelError: it cannot be found or loaded, is no token classifier, or the device is absent
            or does not compute the precision.
    """
    machine = this_machine(find_device(name, device))
    check_dtype(name, dtype, machine)
    folder = find_model_folder(name, revision, pins)
    # Who names a precision need not care what the file says.
    faithful = read_faithful_dtypes(name, folder.path) if dtype == Dtype.AUTO else frozenset()
    return load_from_folder(
        name,
        folder,
        machine.device,
        choose_dtype(folder.name, dtype, machine, faithful),
        threads,
        asked_dtype=dtype,
        modules_of_transformers=modules_of_transformers,
    )


def select_engine(model: LoadedModel, with_probabilities: bool) -> Selection:
    """The cheapest engine that takes a model. Runs it on a few short windows to find out; blocks.

    Args:
        model: belongs to the engine from now on.
        with_probabilities: whether answers hold all probabilities.

    Raises:
        ModelError: the model does not run, or not in the precision that was asked for.
        DoesNotRunInPrecision: it runs in float32 only.
        RuntimeError: the device has no memory for a few windows, see `is_out_of_memory`.
    """
    name = model.info.name
    packs = can_pack(model)
    failed: Exception | None = None
    for offer in _candidates(model):
        if offer.models is not Models.ANY and not packs:
            continue
        computed = replace(model, info=replace(model.info, dtype=offer.dtype.value))
        made, error = _made_by(offer, computed, with_probabilities)
        failed = error or failed
        if made is None:
            _log.debug("model %s: not by %s in %s", name, offer.name, offer.dtype)
            continue
        _log.info("model %s: %s, %s", name, offer.dtype, made.how)
        return Selection(computed, made.engine)
    dtype = model.info.dtype
    if failed is not None:
        raise ModelError(
            f"model {name}: it does not run in {dtype} ({class_and_line(failed)})"
        ) from failed
    raise ModelError(
        f"model {name}: its layers cannot be computed in {dtype}; use --dtype auto"
        if packs
        else f"model {name}: it does not run in {dtype}, since its attention cannot be packed; use "
        "--dtype auto"
    )


def _made_by(
    offer: Offer, model: LoadedModel, with_probabilities: bool
) -> tuple[Made | None, Exception | None]:
    """The engine that an offer makes for a model; None where it is not one of the offer's, with the
    error where the model, or the engine, ran into one.

    Raises:
        DoesNotRunInPrecision: that was an engine that changes layers, which may be half done.
    """
    name, plain_attention = model.info.name, attention_of(model.network)
    try:
        return offer.make(model, with_probabilities), None
    except ModelError:
        raise
    except Exception as error:  # whatever a network does that an engine does not foresee
        if is_out_of_memory(error):
            raise
        if offer.models is Models.ENCODERS:
            raise DoesNotRunInPrecision(
                f"model {name}: it does not run by {offer.name} in {offer.dtype} "
                f"({class_and_line(error)}); use --dtype float32"
            ) from error
        _log.warning(
            "model %s: not by %s in %s (%s)", name, offer.name, offer.dtype, class_and_line(error)
        )
        use_attention(model.network, plain_attention)
        return None, error


def _candidates(model: LoadedModel) -> Iterator[Offer]:
    """Offers for a model that is loaded, in the order in which they are tried."""
    machine = this_machine(model.device)
    dtype = Dtype(model.info.dtype)
    for offer in offers_for(dtype, machine):
        if offer.is_plain or not model.is_exact:
            yield offer
    # Integers are made of float32, so these weights are at hand for a model that takes no integers.
    is_of_float32 = dtype != Dtype.FLOAT32 and loaded_as(dtype) == torch.float32
    if is_of_float32 and model.asked_dtype == Dtype.AUTO:
        yield from offers_for(Dtype.FLOAT32, machine)


def with_fallback(dtype: str, attempt: Callable[[str], _T]) -> _T:
    """What an attempt in a precision gives. Where the model does not run in what `auto` is, the
    attempt is made again in float32, with weights that are read anew.

    Raises:
        DoesNotRunInPrecision: the precision was asked for by name.
    """
    try:
        return attempt(dtype)
    except DoesNotRunInPrecision as error:
        if dtype != Dtype.AUTO:
            raise
        _log.warning("%s; taken, since dtype is auto", error)
        return attempt(Dtype.FLOAT32.value)
