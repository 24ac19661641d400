"""CapturePolicy: which shapes of a pass are worth a captured graph; knows nothing of CUDA."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict

from consumer.tagging.engine.cuda.pass_layout import PassShape


class Way(enum.Enum):
    """How a pass is run."""

    #: Kernel by kernel.
    EAGER = "eager"
    #: Captured now, and replayed.
    CAPTURE = "capture"
    #: By the graph that was captured before.
    REPLAY = "replay"


class CapturePolicy:
    """Captures a shape when it comes back, and keeps the graphs that were used last.

    A capture costs several passes, so a shape that was seen once is not worth it. Graphs share one
    pool of memory, which passes without a graph cannot use. So where memory ran out the graphs are
    let go. Each time it takes twice as many passes of a shape until it is captured again.

    Args:
        sightings: the pass of a shape, counted from 1, that captures it.
        most_graphs: graphs kept. Each holds some hundred kernels' arguments beside the pool.
    """

    def __init__(self, sightings: int = 2, most_graphs: int = 64) -> None:
        self._sightings = sightings
        self._most_graphs = most_graphs
        self._seen: Counter[PassShape] = Counter()
        self._captured: OrderedDict[PassShape, None] = OrderedDict()
        self._refused: set[PassShape] = set()
        self._gave_up = False

    def way(self, shape: PassShape) -> Way:
        """How to run the next pass of this shape; counts it."""
        if shape in self._captured:
            self._captured.move_to_end(shape)
            return Way.REPLAY
        if self._gave_up or shape in self._refused:
            return Way.EAGER
        self._seen[shape] += 1
        return Way.CAPTURE if self._seen[shape] >= self._sightings else Way.EAGER

    def captured(self, shape: PassShape) -> list[PassShape]:
        """A graph of this shape is there; returns the shapes whose graphs must go for it."""
        self._captured[shape] = None
        too_many = len(self._captured) - self._most_graphs
        gone = list(self._captured)[: max(0, too_many)]
        for old in gone:
            del self._captured[old]
            del self._seen[old]
        return gone

    def refused(self, shape: PassShape) -> None:
        """There was no memory to capture this shape: it runs eagerly until `memory_ran_out`."""
        self._refused.add(shape)

    def gave_up(self) -> None:
        """Capturing does not work with this model or device: nothing is captured any more."""
        self._gave_up = True

    def memory_ran_out(self) -> None:
        """All graphs were let go, to make room for a pass."""
        self._captured.clear()
        self._seen.clear()
        self._refused.clear()
        self._sightings *= 2
