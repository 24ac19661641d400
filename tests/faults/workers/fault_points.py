"""Fault: what a process does to itself when it comes by a step for the so-many-th time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection
from typing import Any


class Fault:
    """Counts the passes of its point; acts once.

    Args:
        text: `point:pass:action`.
        points: those that there are.
    """

    def __init__(self, text: str, points: Collection[str]) -> None:
        self._point, passes, self._action = text.split(":")
        self._left = int(passes)
        self._lock = threading.Lock()
        assert self._point in points, f"{self._point} is no point; they are {points}"

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            due = self._left == 0
        if due:
            self._act()

    def _act(self) -> None:
        name, _, seconds = self._action.partition("=")
        print(f"fault: {name} at {self._point}", flush=True)
        if name == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif name == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif name == "sleep":
            time.sleep(float(seconds))
        else:
            raise AssertionError(f"{name} is no action")


def around(owner: Any, method: str, name: str, reach: Callable[[str], None]) -> None:
    """Have the method tell when it begins and when it has ended."""
    plain = getattr(owner, method)

    def told(*arguments: Any, **named: Any) -> Any:
        reach(f"{name}.before")
        answer = plain(*arguments, **named)
        # A poll that brought nothing is no step of a message.
        if name != "poll" or answer:
            reach(f"{name}.after")
        return answer

    setattr(owner, method, told)
