"""What this machine's processor computes fast, and how its memory is kept."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

#: glibc's names for `mallopt` (malloc.h).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4

#: More than is ever free at once: nothing is given back. The parameter is a C int.
_NEVER_TRIM_BYTES = 2**31 - 1

#: A thread's heap of 64 MiB is let go, when it is empty, unless this much may stay.
_TOP_PAD_BYTES = 128 * 2**20

#: Instruction sets that oneDNN can be restricted to, see `_restriction`, and that leave out
#: something that matters here. oneDNN ignores a name that it does not know.
_WITHOUT_VNNI = ("sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core")
_WITHOUT_BFLOAT16 = (*_WITHOUT_VNNI, "avx512_core_vnni")
_WITHOUT_AMX = (
    *(*_WITHOUT_BFLOAT16, "avx512_core_bf16", "avx512_core_fp16"),
    *("avx10_1_512", "avx10_2", "avx10_2_512"),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Processor:
    """What the choice of a precision depends on.

    Attributes:
        has_bfloat16: whether it multiplies bfloat16 (AVX-512 BF16 or AMX). Without it values are
            converted one by one, slower than float32.
        has_int8: whether it sums products of eight-bit integers in 32 bits (VNNI). Without it the
            sums overflow 16 bits. False too where this torch has no quantized matmul.
        has_amx: whether it multiplies matrices of bfloat16 in one instruction (AMX).
        has_int16: whether it runs our own matmuls of 16-bit integers (AVX2), and this installation
            has them.
        prefers_int16: whether those are known to be faster than float32 on it, and it does not
            multiply bfloat16.
    """

    has_bfloat16: bool
    has_int8: bool
    has_amx: bool
    has_int16: bool = False
    prefers_int16: bool = False


class IntegerKernel(Protocol):
    """What our own kernel of 16-bit integers says of this processor."""

    @property
    def runs(self) -> bool:
        """Whether it runs on it."""
        ...

    @property
    def is_fast(self) -> bool:
        """Whether it is known to be faster than float32 on it."""
        ...


def read_processor(kernel: IntegerKernel | None) -> Processor:
    """This machine's processor, as torch and oneDNN see it.

    Args:
        kernel: what this installation has; None where it has none.
    """
    capabilities = _capabilities() if torch.backends.mkldnn.is_available() else {}
    most = _restriction()
    has_amx = bool(capabilities.get("amx_bf16")) and most not in _WITHOUT_AMX
    has_bfloat16 = most not in _WITHOUT_BFLOAT16 and (
        has_amx or bool(capabilities.get("avx512_bf16"))
    )
    return Processor(
        has_bfloat16=has_bfloat16,
        has_int8=bool(capabilities.get("avx512_vnni"))
        and most not in _WITHOUT_VNNI
        and hasattr(torch.ops.onednn, "qlinear_pointwise"),
        has_amx=has_amx,
        has_int16=kernel is not None and kernel.runs,
        prefers_int16=kernel is not None and kernel.is_fast and not has_bfloat16,
    )


def _restriction() -> str:
    """The instruction set that oneDNN is restricted to, by the variable that it reads. torch does
    not know of it, and its bfloat16 matmuls fail where the set leaves them out."""
    return os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).lower()


def _capabilities() -> Mapping[str, Any]:
    """What torch knows of the processor, by the names of `torch.cpu.get_capabilities`, which torch
    2.10 and earlier lack."""
    if hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu.get_capabilities()
    return {
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx_bf16": torch.cpu._is_amx_tile_supported(),
        "avx512_vnni": torch.cpu._is_vnni_supported(),
    }


def keep_freed_memory() -> bool:
    """Have the C library keep what the process frees, for the whole process; glibc only.

    Activations of some megabytes are made and freed in every layer. glibc takes each from the
    system and gives it back, and the system fills every page with zeros again: as much as a sixth
    of the time of a pass. With the memory kept, a pass finds the pages of the one before it.

    Returns:
        Whether it could be done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    wanted = (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, _NEVER_TRIM_BYTES),
        (_M_TOP_PAD, _TOP_PAD_BYTES),
    )
    done = [mallopt(name, value) == 1 for name, value in wanted]
    if not all(done):
        _log.debug("the C library keeps to its own way of giving memory back")
    return all(done)
