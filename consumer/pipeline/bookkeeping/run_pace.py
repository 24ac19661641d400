"""RunPace: how fast a bounded run goes, and when it will be over."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from consumer.contracts.messages import TopicPartition
from consumer.contracts.runs import RunProgress, RunState

#: Seconds over which the rate is taken: longer than a hiccup, short enough to follow a change.
WINDOW_S = 30.0


class RunPace:
    """Keeps what was done over the last `WINDOW_S`. No clock, no thread."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def note(self, state: RunState, now: float) -> RunProgress:
        """The progress with this state, seen now.

        Args:
            now: clock reading, in seconds.
        """
        looks = self._looks
        if not looks or looks[-1] != (now, state.done):
            looks.append((now, state.done))
        while len(looks) > 2 and now - looks[1][0] >= WINDOW_S:
            looks.popleft()
        since, before = looks[0]
        rate = max(0, state.done - before) / (now - since) if now > since else 0.0
        left = state.total - state.done
        if left <= 0:
            return RunProgress(state, rate, 0.0)
        return RunProgress(state, rate, left / rate if rate else None)


def at_end(
    ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
) -> tuple[TopicPartition, ...]:
    """The partitions that are finished to the end of the run.

    Args:
        positions: how far each is finished, where that is known.
    """
    return tuple(one for one, end in ends.items() if positions.get(one, -1) >= end)
