"""How much of the device's memory torch holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def device_memory_reader(device: str) -> Callable[[], Mapping[str, int]] | None:
    """A function that gives bytes by kind (`allocated`, `reserved`); None for a CPU.

    Args:
        device: as in `ModelInfo.device`.
    """
    if not device.startswith("cuda"):
        return None
    import torch

    return lambda: {
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
    }
