"""Deadline: measurements begin while there is time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from consumer.terminal import tell


class Deadline:
    """Begins measurements while there is time, and keeps what they say.

    Args:
        clock: seconds, from any origin.
        last_begin_s: no measurement begins later than so long from now.
    """

    def __init__(self, clock: Callable[[], float], last_begin_s: float) -> None:
        self._clock = clock
        self._end = clock() + last_begin_s
        self.left_out: list[str] = []

    def measure(self, name: str, measurement: Callable[[], Any]) -> Any:
        """What the measurement returns; an error's text, or None where there was no time."""
        if self._clock() >= self._end:
            self.left_out.append(name)
            return None
        tell(f"{name} ...")
        try:
            return measurement()
        except Exception as error:  # one form that fails must not hide the others
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        finally:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
