"""Stages: the state and the end of all threads of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from consumer.contracts.errors import NerstreamError, StageFailed
from consumer.pipeline.channel import ChannelClosed
from consumer.pipeline.stage import Stage

log = structlog.get_logger(__name__)


class Stages:
    """What can be said of all stages together. Any thread may ask.

    Args:
        stages: in the order of the work, the first one reads.
        clock: monotonic seconds.
    """

    def __init__(self, stages: Sequence[Stage], clock: Callable[[], float]) -> None:
        self._stages = tuple(stages)
        self._clock = clock

    @property
    def running(self) -> bool:
        """Whether one of them still runs."""
        return any(stage.running for stage in self._stages)

    def failure(self) -> NerstreamError | None:
        """The first real failure; a closed channel is only the echo of another stage's."""
        failed = [stage for stage in self._stages if stage.failure is not None]
        for stage in failed:
            failure = stage.failure
            if isinstance(failure, NerstreamError):
                return failure
        for stage in failed:
            if not isinstance(stage.failure, ChannelClosed):
                error = StageFailed(f"stage {stage.name} failed: {stage.failure!r}")
                error.__cause__ = stage.failure
                return error
        return None

    def faults(self, stall_timeout_s: float) -> list[str]:
        """Why the worker is not healthy, for a person; empty when it is.

        Args:
            stall_timeout_s: longest time without progress, with work at hand, that is no fault.
        """
        faults = []
        for stage in self._stages:
            if stage.failure is not None and not isinstance(stage.failure, ChannelClosed):
                faults.append(f"stage {stage.name} failed: {stage.failure}")
            stalled_s = stage.stalled_s()
            if stalled_s > stall_timeout_s:
                faults.append(
                    f"stage {stage.name} has made no progress for {stalled_s:.0f} s "
                    f"(stall_timeout_s={stall_timeout_s:g})"
                )
        return faults

    def join(self, timeout_s: float) -> None:
        """Wait for the end of all of them, at most so long; logs which one does not end."""
        deadline = self._clock() + timeout_s
        # The publisher first: it aborts the transaction while the group membership still stands.
        for stage in reversed(self._stages):
            if not stage.join(max(0.0, deadline - self._clock())):
                log.error("stage did not end", stage=stage.name, stack=stage.stack())
