"""Attention by a kernel of our own, where this processor and this installation have it.

The kernel is `native/attention.c`; see docs/decisions/0014.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from consumer.tagging.engine.cpu.native_library import load_from_library


class Kernel:
    """The compiled kernel, for float32 on the CPU.

    Args:
        library: the file.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is another library.
    """

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        self._attend = functions.nerstream_attend
        self._attend.restype = None
        self._attend.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int32] * 3 + [ctypes.c_void_p]
        self._work_size = functions.nerstream_work_size
        self._work_size.restype = ctypes.c_int64
        self._work_size.argtypes = [ctypes.c_int32, ctypes.c_int32]
        can_attend, step = functions.nerstream_can_attend, functions.nerstream_head_size_step
        can_attend.restype = step.restype = ctypes.c_int32
        self._can_attend = bool(can_attend())
        self._head_size_step = int(step())

    def takes(self, head_size: int) -> bool:
        """Whether it has attention of heads so wide, on this processor."""
        return self._can_attend and head_size % self._head_size_step == 0

    def attend(
        self,
        inputs: torch.Tensor,
        window_lengths: Sequence[int],
        heads: int,
        kept: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As `attend` of `consumer.tagging.engine.cpu.layers.attention`, for scores of any size.
        Releases the interpreter lock.

        Raises:
            ValueError: it is called with what it does not take.
        """
        tokens, width = inputs.shape
        head_size = width // (3 * heads)
        if inputs.dtype != torch.float32 or inputs.device.type != "cpu":
            raise ValueError(f"the kernel takes float32 on the CPU, not {inputs.dtype}")
        if width != 3 * heads * head_size or not self.takes(head_size):
            raise ValueError(f"the kernel does not take {heads} heads in {width} columns")
        ends = np.cumsum(window_lengths, dtype=np.int32)
        rows, row_ends = np.arange(tokens, dtype=np.int32), ends
        if kept is not None:
            rows = kept.numpy().astype(np.int32)
            row_ends = np.searchsorted(rows, ends).astype(np.int32)
        # The kernel reads and writes where these say, so they are checked.
        lengths_fit = min(window_lengths, default=0) > 0 and int(ends[-1]) == tokens
        rows_fit = not len(rows) or (rows[0] >= 0 and rows[-1] < tokens)
        if not lengths_fit or not rows_fit or bool((np.diff(rows) < 0).any()):
            raise ValueError("windows and queries must lie in their order among the tokens")
        inputs = inputs.contiguous()
        attended = inputs.new_empty(len(rows), heads * head_size)
        work = inputs.new_empty(self._work_size(max(window_lengths), head_size))
        self._attend(
            inputs.data_ptr(),
            attended.data_ptr(),
            ends.ctypes.data,
            rows.ctypes.data,
            row_ends.ctypes.data,
            len(ends),
            heads,
            head_size,
            work.data_ptr(),
        )
        return attended


@cache
def load_kernel() -> Kernel | None:
    """The kernel of this installation, or None."""
    return load_from_library(Kernel)
