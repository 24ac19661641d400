"""Entry: what the record of the matrix holds of one run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.faults.matrix.result import Result
from tests.faults.rows.row import Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One row in one mode with one seed.

    Attributes:
        feed: the shape of what was fed, in words; empty where the row has a feed of its own.
        began: the minute in which it began, UTC; or the day, where no more is known.
        again: the day on which it was run again by itself; None if it was not.
        because: why, for the page.
        was: the first violation of the run before that; None where that had none.
    """

    row: str
    delivery: str
    seed: int
    feed: str
    began: str
    seconds: float
    messages: int
    faults: int
    kills: int
    lost: int
    doubled: int
    recovery_p50_s: float | None
    recovery_max_s: float | None
    violations: tuple[str, ...]
    again: str | None = None
    because: str = ""
    was: str | None = None

    @classmethod
    def of(
        cls, row: Row, delivery: str, seed: int, began: str, seconds: float, result: Result
    ) -> Self:
        """Of a run that has ended."""
        recoveries = result.recoveries_s
        return cls(
            row=row.name,
            delivery=delivery,
            seed=seed,
            feed=row.shape(delivery, seed) or "",
            began=began,
            seconds=round(seconds, 1),
            messages=result.messages,
            faults=result.faults,
            kills=result.kills,
            lost=result.verdict.lost,
            doubled=result.verdict.doubled,
            recovery_p50_s=round(statistics.median(recoveries), 1) if recoveries else None,
            recovery_max_s=round(max(recoveries), 1) if recoveries else None,
            violations=result.verdict.violations,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """One that was written before."""
        return cls(**{**document, "violations": tuple(document["violations"])})

    @property
    def key(self) -> tuple[str, str, int]:
        """What no other has."""
        return self.row, self.delivery, self.seed
