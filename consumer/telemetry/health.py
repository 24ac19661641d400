"""Health: whether the worker lives and whether it is ready, with the reasons why not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the worker at one moment.

    Attributes:
        alive: it makes progress, or has nothing to do; false asks for a restart.
        ready: partitions are assigned, the model is loaded and the producer is ready.
        reasons: what keeps it from being alive or ready, for a person; empty when both hold.
    """

    alive: bool
    ready: bool
    reasons: tuple[str, ...] = ()
