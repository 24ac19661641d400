"""Result: what one fault run gave."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.checker.invariants import Verdict


@dataclass(slots=True)
class Result:
    """What a run gave.

    Attributes:
        messages: that were fed.
        faults: how many were injected; kills: how many workers or brokers were killed.
        recoveries_s: for each fault, seconds until every partition showed the outcome of an
            input that was fed after it.
        verdict: of the checker.
    """

    messages: int = 0
    faults: int = 0
    kills: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    verdict: Verdict = field(default_factory=lambda: Verdict(0, 0, ()))
