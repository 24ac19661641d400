"""Whether a device has memory for several models, asked before the first of them is loaded.

The answer is an estimate from the headers of the weights. It is lower than what the models take in
the end, so that no model that would work is refused. What it misses shows on the device while the
models are loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch

from consumer.contracts.choices import Dtype
from consumer.contracts.errors import ModelError
from consumer.tagging.model.device import loaded_as
from consumer.tagging.model.faithful_dtypes import read_faithful_dtypes
from consumer.tagging.model.folder import ModelFolder
from consumer.tagging.model.memory import free_memory
from consumer.tagging.model.weights import read_weights
from consumer.tagging.select import check_dtype, offers_for, this_machine

_log = logging.getLogger(__name__)

#: Bytes of a weight as it stays on the device.
_BYTES: Mapping[Dtype, int] = {
    Dtype.FLOAT32: 4,
    Dtype.BFLOAT16: 2,
    Dtype.FLOAT16: 2,
    Dtype.INT16: 2,
    Dtype.INT8: 1,
}

_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """What the weights of a model take, in bytes, as far as their files tell.

    Attributes:
        title: what an error calls the model.
        loading: while it is loaded; integers are made of float32.
        staying: afterwards.
    """

    title: str
    loading: int
    staying: int


def check_memory(
    models: Sequence[tuple[str, ModelFolder]], device: torch.device, dtype: str
) -> None:
    """Refuse models that a device has no memory for.

    Args:
        models: what an error calls each, and where it lies; in the order in which they are loaded.
        device: where all of them are to run.
        dtype: as the settings have it.

    Raises:
        ModelError: their weights alone take more than is free; or one cannot be loaded.
    """
    needs = [need_of(title, folder, device, dtype) for title, folder in models]
    free = free_memory(device)
    most = most_at_once(needs)
    _log.info(
        "%d models: their weights take %s, free are %s",
        len(needs),
        _in_words(most),
        "an unknown number of MiB" if free is None else _in_words(free),
    )
    if free is None or most <= free:
        return
    listed = "; ".join(f"{one.title} takes {_in_words(one.staying)}" for one in needs)
    where = "this machine, or its container," if device.type == "cpu" else str(device)
    raise ModelError(
        f"models: {where} has {_in_words(free)} of memory free, and their weights alone take "
        f"{_in_words(most)} while they are loaded ({listed}); give the worker more memory, smaller "
        "models or fewer, or run a worker for each language"
    )


def most_at_once(needs: Sequence[ModelNeed]) -> int:
    """The most bytes that are taken while models are loaded, one after the other."""
    staying = most = 0
    for need in needs:
        most = max(most, staying + need.loading)
        staying += need.staying
    return max(most, staying)


def need_of(title: str, folder: ModelFolder, device: torch.device, dtype: str) -> ModelNeed:
    """What a model's weights take on a device.

    Raises:
        ModelError: the weights cannot be read, or the device does not compute the precision.
    """
    machine = this_machine(device)
    check_dtype(title, dtype, machine)
    stays_as = Dtype(dtype)
    if stays_as is Dtype.AUTO:
        faithful = read_faithful_dtypes(title, folder.path)
        stays_as = offers_for(dtype, machine, faithful)[0].dtype
    weights = sum(prod(shape) for shape in read_weights(title, folder.path).shapes.values())
    loaded = torch.empty(0, dtype=loaded_as(stays_as)).element_size()
    return ModelNeed(title, weights * loaded, weights * _BYTES[stays_as])


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes / _MEBIBYTE:,.1f} MiB"
