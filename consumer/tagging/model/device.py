"""Where a model runs, from the name that the settings have for it; and the type of its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from consumer.contracts.choices import DEVICE_FORMS, Dtype, is_device
from consumer.contracts.errors import ModelError

#: The type that weights are loaded in, by precision. Those of integers are made of float32.
_LOADED_AS: Mapping[Dtype, torch.dtype] = {
    Dtype.FLOAT32: torch.float32,
    Dtype.BFLOAT16: torch.bfloat16,
    Dtype.FLOAT16: torch.float16,
    Dtype.INT16: torch.float32,
    Dtype.INT8: torch.float32,
}

#: Those in which a model may give other entities than in float32.
LOW_PRECISIONS = tuple(dtype for dtype in _LOADED_AS if dtype != Dtype.FLOAT32)


def loaded_as(dtype: Dtype) -> torch.dtype:
    """The type that the weights of a model are loaded in, to be computed in a precision.

    Args:
        dtype: any but `auto`.
    """
    return _LOADED_AS[dtype]


def kind_without_context(device: str) -> str:
    """`cpu` or `cuda`, whichever the setting means here. No context is made on the device:
    processes that are forked afterwards could not use the device any more.

    Args:
        device: see `DEVICE_FORMS`.
    """
    if device == "cpu" or device.startswith("cuda"):
        return device.partition(":")[0]
    # torch then asks the driver's management library. A worker's answer is the same either way.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    return "cuda" if torch.cuda.is_available() else "cpu"


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
