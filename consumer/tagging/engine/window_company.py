"""Company: which windows of a model that cannot be packed run together."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Company(Enum):
    """Which windows run together."""

    ANY = "windows of any length side by side"
    EQUAL = "windows of one length at a time"
    NONE = "each window alone"


def group(windows: Sequence[NDArray[np.int32]], company: Company) -> list[list[int]]:
    """Indices of the windows, in groups that run together."""
    if company is Company.ANY:
        return [list(range(len(windows)))]
    if company is Company.NONE:
        return [[index] for index in range(len(windows))]
    by_length: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_length.setdefault(len(window), []).append(index)
    return list(by_length.values())
