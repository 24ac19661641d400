"""Several workers of one group, measured as one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from consumer.bench.worker.process import BenchWorker, Reading
from consumer.bench.worker.taggers import TaggerKind
from consumer.kafka.closing import Closing
from consumer.settings.schema import Settings


class BenchGroup(Closing):
    """Starts so many workers at once; each takes its share of the partitions.

    Args:
        settings: of every worker.
        kind: how much of the tagger runs.
        count: how many.

    Raises:
        NerstreamError: one does not start.
    """

    def __init__(self, settings: Settings, kind: TaggerKind, count: int) -> None:
        self._workers = [BenchWorker(settings, kind) for _ in range(count)]

    def wait_ready(self) -> dict[str, float]:
        """Until the last is ready; what the slowest start took, part by part."""
        started = [worker.wait_ready() for worker in self._workers]
        return max(started, key=lambda parts: parts["total_s"])

    def read(self) -> Reading:
        """The sums of their counters now."""
        return merged([worker.read() for worker in self._workers])

    @property
    def peak_bytes(self) -> int:
        """The most memory that any of them ever held."""
        return max(worker.peak_bytes for worker in self._workers)

    def stop(self) -> float:
        """Stop them all; the seconds until the last has drained."""
        started = time.monotonic()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()
        return time.monotonic() - started

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self._workers:
            worker.close()


def merged(readings: Sequence[Reading]) -> Reading:
    """Counters, sums and processor time added up; the time is that of the last reading."""
    samples: Counter[str] = Counter()
    for reading in readings:
        samples.update(reading.samples)
    return Reading(readings[-1].at, sum(one.cpu_s for one in readings), dict(samples))
