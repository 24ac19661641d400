"""How much of the device's memory torch holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

#: What a process takes of a device beside torch's own memory: its context, and kernels.
_CONTEXT_BYTES = 3 * 2**28

#: What a worker's passes take at least, whatever it has reserved by the time it begins.
_LEAST_BYTES = 2**31

#: Share of the device's memory that is left free.
_SPARE = 0.1


def room_for_more(device: str) -> int | None:
    """How many more processes like this one the device has memory for; None where this one uses
    none.

    Args:
        device: as the setting has it; `auto` is the first.
    """
    import torch

    if not torch.cuda.is_initialized():
        return None
    index = int(device.partition(":")[2] or torch.cuda.current_device())
    free, whole = torch.cuda.mem_get_info(index)
    each = max(_LEAST_BYTES, 2 * torch.cuda.memory_reserved(index)) + _CONTEXT_BYTES
    return max(0, int(free - _SPARE * whole) // each)


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
