"""Where the model runs and in which precision, from the names that the settings have for them."""

from __future__ import annotations

import torch

from consumer.errors import ModelError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_device(name: str, device: str) -> torch.device:
    """The device that a setting names: `auto`, `cpu`, `cuda` or `cuda:N`.

    Args:
        name: the model, for the error.

    Raises:
        ModelError: there is no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        found = torch.device("meta")
    if found.type not in ("cpu", "cuda"):
        raise ModelError(
            f"model {name}: unknown device {device!r}; --device takes auto, cpu, cuda or cuda:N"
        )
    if found.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelError(
            f"model {name}: device {device} asked for, but torch finds no CUDA device here; "
            "use --device cpu or --device auto"
        )
    index = torch.cuda.current_device() if found.index is None else found.index
    if index >= torch.cuda.device_count():
        raise ModelError(
            f"model {name}: there is no device {device}; this machine has cuda:0 to "
            f"cuda:{torch.cuda.device_count() - 1}"
        )
    return torch.device("cuda", index)


def find_dtype(name: str, dtype: str, device: torch.device) -> torch.dtype:
    """The precision that a setting names; `auto` is float32 on the CPU and bfloat16 elsewhere.

    Raises:
        ModelError: there is no such precision.
    """
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if dtype not in _DTYPES:
        raise ModelError(
            f"model {name}: unknown dtype {dtype!r}; --dtype takes auto, {', '.join(_DTYPES)}"
        )
    return _DTYPES[dtype]
