"""Where the model runs and in which precision, from the names that the settings have for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from consumer.contracts.choices import DEVICE_FORMS, Dtype, is_device
from consumer.contracts.errors import ModelError
from consumer.tagging.model.processor import Processor, read_processor


@dataclass(frozen=True, slots=True)
class Precision:
    """In which numbers a model computes.

    Attributes:
        name: any `Dtype` but `auto`.
        weights: the type that its weights are loaded in; int16 and int8 are made of float32.
    """

    name: Dtype
    weights: torch.dtype


_PRECISIONS: Mapping[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision(Dtype.FLOAT32, torch.float32),
        Precision(Dtype.BFLOAT16, torch.bfloat16),
        Precision(Dtype.FLOAT16, torch.float16),
        Precision(Dtype.INT16, torch.float32),
        Precision(Dtype.INT8, torch.float32),
    )
}

#: Those in which a model may give other entities than in float32.
LOW_PRECISIONS = tuple(name for name in _PRECISIONS if name != Dtype.FLOAT32)

#: Those that only the CPU engine computes.
CPU_ONLY = (Dtype.INT16, Dtype.INT8)


def find_device(name: str, device: str) -> torch.device:
    """The device that a setting names, see `DEVICE_FORMS`.

    Args:
        name: the model, for the error.

    Raises:
        ModelError: there is no such device here.
    """
    if not is_device(device):
        raise ModelError(f"model {name}: unknown device {device!r}; --device takes {DEVICE_FORMS}")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelError(
            f"model {name}: device {device} asked for, but torch finds no CUDA device here; "
            "use --device cpu or --device auto"
        )
    _, _, number = device.partition(":")
    index = int(number) if number else torch.cuda.current_device()
    if index >= torch.cuda.device_count():
        raise ModelError(
            f"model {name}: there is no device {device}; this machine has cuda:0 to "
            f"cuda:{torch.cuda.device_count() - 1}"
        )
    return torch.device("cuda", index)


def find_precision(
    name: str, dtype: str, device: torch.device, processor: Processor | None = None
) -> Precision:
    """The precision that a setting names.

    `auto` is the fastest that gives the entities of float32, but for a few in a thousand, with any
    model: bfloat16, where the device multiplies it, else int16 on a CPU that is known to be faster
    so, else float32. See docs/decisions/0009 and 0015.

    Args:
        processor: None takes this machine's.

    Raises:
        ModelError: there is no such precision, or the device does not compute it.
    """
    processor = processor or read_processor()
    if dtype == Dtype.AUTO:
        if device.type != "cpu" or processor.has_bfloat16:
            return _PRECISIONS[Dtype.BFLOAT16]
        return _PRECISIONS[Dtype.INT16 if processor.prefers_int16 else Dtype.FLOAT32]
    if dtype not in _PRECISIONS:
        raise ModelError(
            f"model {name}: unknown dtype {dtype!r}; --dtype takes auto, {', '.join(_PRECISIONS)}"
        )
    if dtype in CPU_ONLY and device.type != "cpu":
        raise ModelError(
            f"model {name}: dtype {dtype} is for the CPU; use --dtype auto on {device}"
        )
    if dtype == Dtype.INT8 and not processor.has_int8:
        raise ModelError(
            f"model {name}: dtype int8 needs a processor with AVX-512 VNNI; use --dtype auto"
        )
    if dtype == Dtype.INT16 and not processor.has_int16:
        raise ModelError(
            f"model {name}: dtype int16 needs an x86-64 processor with AVX2, and a C compiler "
            "where nerstream is installed; use --dtype auto"
        )
    return _PRECISIONS[dtype]


def precision_of_model(
    precision: Precision,
    device: torch.device,
    faithful_dtypes: Collection[str],
    processor: Processor | None = None,
) -> Precision:
    """In place of what `auto` is with any model, what it is with one that is known to keep its
    entities in these precisions: int8 on a processor that is faster so.

    Args:
        faithful_dtypes: see `consumer.tagging.model.faithful_dtypes`.
        processor: None takes this machine's.
    """
    processor = processor or read_processor()
    # With AMX eight bits are no faster than sixteen; without bfloat16 nobody has measured it.
    is_faster = processor.has_int8 and processor.has_bfloat16 and not processor.has_amx
    if device.type == "cpu" and is_faster and Dtype.INT8 in faithful_dtypes:
        return _PRECISIONS[Dtype.INT8]
    return precision


def fast_precisions(device: torch.device, processor: Processor | None = None) -> tuple[str, ...]:
    """The low precisions that a device computes faster than float32, most exact first.

    Args:
        processor: None takes this machine's.
    """
    if device.type != "cpu":
        return (Dtype.BFLOAT16, Dtype.FLOAT16)
    processor = processor or read_processor()
    return (
        *((Dtype.INT16,) if processor.prefers_int16 else ()),
        *((Dtype.BFLOAT16,) if processor.has_bfloat16 else ()),
        *((Dtype.INT8,) if processor.has_int8 else ()),
    )
