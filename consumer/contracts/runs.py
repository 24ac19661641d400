"""How far a bounded run is."""

from __future__ import annotations

from typing import NamedTuple


class RunState(NamedTuple):
    """How far a bounded run is, over all its partitions and workers.

    Attributes:
        done, total: offsets that are committed, and those between begins and ends. Transaction
            markers count in both.
        is_complete: whether each partition is committed to its end.
    """

    done: int
    total: int
    is_complete: bool


class RunProgress(NamedTuple):
    """A run's state with its pace.

    Attributes:
        state: how far it is.
        rate: offsets a second, of late.
        left_s: seconds to the end at that rate; None where nothing moves.
    """

    state: RunState
    rate: float
    left_s: float | None
