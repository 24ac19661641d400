"""Load on a worker: articles at a rate, and the latency of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumer.contracts.errors import NerstreamError
from consumer.kafka.tools.arrivals import Arrivals
from consumer.kafka.tools.writer import TopicWriter
from consumer.settings.reserved import names_of
from consumer.settings.schema import Settings

#: How long the feeder sleeps when nothing is due, in seconds; the resolution of its rate.
_TICK_S = 0.001

#: With nothing coming out for so long, something is wrong.
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the timestamp of each article to its arrival at a `read_committed` reader.

    Attributes:
        rate: articles a second, as they came out.
        seconds: from the first article in to the last out.
        ranked: of each article, the shortest first.
    """

    rate: float
    seconds: float
    ranked: Sequence[float]

    def percentile(self, percent: float) -> float:
        """The latency that so many percent of the articles do not exceed (nearest rank)."""
        if not self.ranked:
            return 0.0
        return self.ranked[min(len(self.ranked) - 1, int(len(self.ranked) * percent / 100))]

    def figures(self) -> dict[str, float]:
        """For the report."""
        return {
            "articles_per_s": self.rate,
            "articles": len(self.ranked),
            **{f"p{percent}_s": self.percentile(percent) for percent in (50, 95, 99)},
            "max_s": self.ranked[-1] if self.ranked else 0.0,
        }


class Load:
    """Sends the articles, over and over, and sees them come out.

    Args:
        settings: how to reach the brokers, and the topics of the worker.
        values: the articles.
    """

    def __init__(self, settings: Settings, values: Sequence[bytes]) -> None:
        # An article is sent at once: the feeder must not add to the latency.
        self._settings = _lingering(settings, 1)
        self._values = values
        self._sent = 0

    @property
    def sent(self) -> int:
        """Articles that were sent so far."""
        return self._sent

    def fill(self, count: int) -> None:
        """Send so many as fast as it goes, and wait until the brokers have them.

        Raises:
            KafkaProblem: a message was not taken.
        """
        settings = _lingering(self._settings, 20)
        with TopicWriter(settings, settings.input_topics[0]) as writer:
            writer.open()
            for _ in range(count):
                self._send(writer)
            writer.flush()

    def run(
        self,
        rate: float,
        count: int,
        window: int = 0,
        mark: Callable[[], None] | None = None,
    ) -> Latencies:
        """Send at a rate and measure each article's latency.

        Args:
            rate: articles a second; 0 is as fast as the window lets.
            count: how many.
            window: articles under way at most; 0 is any number.
            mark: called when a tenth has come out, and when the last was sent; between the two the
                window is full. Not at all where the last was sent before.

        Raises:
            KafkaProblem: a message was not taken, or reading cannot go on.
            NerstreamError: nothing came out any more.
        """
        with (
            TopicWriter(self._settings, self._settings.input_topics[0]) as writer,
            Arrivals(self._settings, self._settings.output_topic) as arrivals,
        ):
            writer.open()
            feed = _Feed(self, writer, rate, count, window)
            started = last = time.monotonic()
            feed.start()
            found: list[float] = []
            is_warm = False
            while len(found) < count:
                found += arrivals.poll(0.05)
                feed.check()
                if mark is not None and is_warm == feed.is_done and len(found) >= count / 10:
                    mark()
                    mark = None if is_warm else mark
                    is_warm = True
                now = time.monotonic()
                if len(found) > feed.arrived:
                    feed.arrived, last = len(found), now
                if now - last > _PATIENCE_S:
                    raise NerstreamError(f"nothing came out for {_PATIENCE_S:g} s")
            feed.join()
        seconds = last - started
        return Latencies(count / seconds, seconds, sorted(found))

    def _send(self, writer: TopicWriter) -> None:
        number = self._sent
        writer.send(self._values[number % len(self._values)], b"%d" % number)
        self._sent += 1


class _Feed(threading.Thread):
    """Sends beside the loop that reads.

    Attributes:
        arrived: how many have come out, told by that loop.
        is_done: whether all were sent.
    """

    def __init__(
        self, load: Load, writer: TopicWriter, rate: float, count: int, window: int
    ) -> None:
        super().__init__(name="nerstream-bench-feed", daemon=True)
        self.arrived = 0
        self.is_done = False
        self._load = load
        self._writer = writer
        self._rate = rate
        self._count = count
        self._window = window
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            started = time.monotonic()
            sent = 0
            while sent < self._count:
                due = self._count
                if self._rate:
                    due = min(due, int((time.monotonic() - started) * self._rate) + 1)
                if self._window:
                    due = min(due, self.arrived + self._window)
                while sent < due:
                    self._load._send(self._writer)
                    sent += 1
                self._writer.wait(_TICK_S)
            self.is_done = True
            self._writer.flush()
        except Exception as failure:  # raised by `check`, on the thread that reads
            self._failure = failure

    def check(self) -> None:
        """Raise what went wrong."""
        if self._failure is not None:
            raise self._failure


def _lingering(settings: Settings, linger_ms: int) -> Settings:
    """The same with a producer that waits so long for more; by whichever name it was set."""
    names = names_of("linger.ms")
    others = {name: text for name, text in settings.kafka.items() if name not in names}
    kafka = {**others, "linger.ms": str(linger_ms)}
    return Settings.model_validate(settings.model_dump() | {"kafka": kafka})
