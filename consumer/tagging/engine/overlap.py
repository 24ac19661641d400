"""One way to run any engine, whether or not it begins a pass before it is asked for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from consumer.tagging.engine.engine import Answer, Engine


class StartedPass(Protocol):
    """A pass under way."""

    def answer(self) -> Answer:
        """Blocks until it is here. Raises what `Engine.run` raises."""
        ...


@runtime_checkable
class OverlappingEngine(Engine, Protocol):
    """An engine that computes while its caller does something else: the next pass is prepared, and
    travels, while the one before is computed."""

    def start(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None, /
    ) -> StartedPass:
        """Begin a pass; see `Engine.run`. Raises what that raises, and then it has not begun."""
        ...

    def await_room(self) -> None:
        """Block while a pass that is begun now would find nothing that computes it."""
        ...


class _Done:
    """A pass that was computed when it was started."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def answer(self) -> Answer:
        return self._answer


class Starter:
    """Starts passes on any engine.

    Attributes:
        passes: passes that may be under way at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Asked once: the check of a protocol takes longer than laying out a window.
        self._overlapping = engine if isinstance(engine, OverlappingEngine) else None
        self.passes = 1 if self._overlapping is None else 2

    def start(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> StartedPass:
        """See `OverlappingEngine.start`; on other engines it blocks until the answer is here."""
        if self._overlapping is not None:
            return self._overlapping.start(windows, is_read)
        return _Done(self._engine.run(windows, is_read))

    def await_room(self) -> None:
        """See `OverlappingEngine.await_room`; on other engines nothing is ever under way."""
        if self._overlapping is not None:
            self._overlapping.await_room()
