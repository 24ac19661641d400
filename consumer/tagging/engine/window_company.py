"""Company: which windows of a model that cannot be packed run together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Company(Enum):
    """Which windows run together."""

    ANY = "windows of any length side by side"
    EQUAL = "windows of one length at a time"
    NONE = "each window alone"


def group(
    windows: Sequence[NDArray[np.int32]], company: Company, switches: Sequence[int] = ()
) -> list[list[int]]:
    """Indices of the windows, in groups that run together.

    Args:
        switches: lengths, ascending; longer windows do not run beside those of so many tokens, see
            `consumer.tagging.engine.length_switch`.
    """
    if company is Company.NONE:
        return [[index] for index in range(len(windows))]
    groups: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        length = len(window)
        kind = length if company is Company.EQUAL else bisect_left(switches, length)
        groups.setdefault(kind, []).append(index)
    return list(groups.values())
