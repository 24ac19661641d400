"""What `nerstream bench worker` measures, one thing after the other."""

from __future__ import annotations

import argparse
import time
from typing import Any

from rich.console import Console

from consumer.bench.worker.figures import full_window, shares, surroundings, throughput, together
from consumer.bench.worker.group import BenchGroup
from consumer.bench.worker.load import Latencies, Load
from consumer.bench.worker.process import PATIENCE_S, Reading, tagger_alone
from consumer.bench.worker.taggers import TaggerKind
from consumer.contracts.errors import NerstreamError
from consumer.settings.schema import Settings

#: Articles a second of a tagger that costs nothing, for how many to send at first.
_NULL_RATE = 25_000

#: Seconds between two looks at the worker's counters, each of which costs it some milliseconds.
_LOOK_S = 0.25

#: Bytes of articles under way on the embedded broker, which keeps 5 MB a partition.
_EMBEDDED_WINDOW_BYTES = 6_000_000

#: Seconds between two looks for the last commit.
_SETTLE_S = 0.02

#: Single articles that are sent to an idle worker, and the seconds between them.
_SINGLES, _SINGLE_GAP_S = 20, 0.3


class Measurements:
    """The measurements, one after the other.

    Args:
        arguments: of the command.
        settings: brokers that answer, topics that exist and are empty.
        values: the articles.
        has_backlog: whether the brokers keep as many messages as they get.
        console: for what is being done.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: Settings,
        values: list[bytes],
        has_backlog: bool,
        console: Console,
    ) -> None:
        self._kind = TaggerKind(arguments.tagger)
        self._seconds = arguments.seconds
        self._workers = arguments.workers
        self._with_latency = not arguments.throughput_only
        self._has_backlog = has_backlog
        self._settings = settings
        self._values = values
        self._load = Load(settings, values)
        self._console = console

    def measure(self) -> dict[str, Any]:
        """All of them, as one document."""
        found: dict[str, Any] = surroundings(self._settings, self._kind, self._values)
        alone = self._alone()
        guess = alone["articles_per_s"] if alone else _NULL_RATE
        if self._has_backlog:
            # A tenth more is the beginning, before everything is warm.
            count = max(50, int(guess * self._seconds * 1.1))
            self._say(f"a backlog of {count:,} articles")
            self._load.fill(count)
        found["workers"] = self._workers
        with BenchGroup(self._settings, self._kind, self._workers) as worker:
            self._say("starting the worker" if self._workers == 1 else "starting the workers")
            found["start"] = worker.wait_ready()
            if self._has_backlog:
                found["throughput"] = throughput(self._drain(worker))
            self._latencies(worker, guess, found)
            found["peak_bytes"] = worker.peak_bytes
            # The last article is read by its reader before the worker has counted it.
            last = self._settled(worker)
            found["stop_s"] = worker.stop()
        if last.resolved != self._load.sent:
            raise NerstreamError(f"{self._load.sent} went in, {last.resolved:.0f} came out")
        if alone is not None and (later := self._alone()) is not None:
            found["alone"] = together(alone, later)
            found["throughput"] |= shares(found["throughput"], found["alone"])
        return found

    def _alone(self) -> dict[str, float] | None:
        """Half of what the worker is compared with; the other half comes after it, since a machine
        is not as fast at any time."""
        if self._kind is TaggerKind.NULL:
            return None
        self._say(f"the {self._kind} alone")
        return tagger_alone(self._settings, self._kind, self._values, self._seconds / 2)

    def _latencies(
        self,
        worker: BenchGroup,
        guess: float,
        found: dict[str, Any],
    ) -> None:
        rate = found["throughput"]["articles_per_s"] if self._has_backlog else guess
        if self._has_backlog and not self._with_latency:
            return
        count = max(20, int(rate * self._seconds))
        window = self._window()
        self._say(f"full load, {count:,} articles")
        before = worker.read()
        marked: list[Reading] = []
        # Reading the counters takes the worker some milliseconds, which latencies would show.
        mark = None if self._has_backlog else lambda: marked.append(worker.read())
        full = self._load.run(0.0, count, window, mark)
        after = self._settled(worker)
        if not self._has_backlog:
            found["throughput"] = full_window(marked, [before, after], full.seconds)
        if not self._with_latency:
            return
        latency: dict[str, Any] = {"window_articles": window, "full": full.figures()}
        rate = min(rate, found["throughput"]["articles_per_s"])
        count = max(20, int(rate / 2 * self._seconds))
        self._say(f"half load, {rate / 2:,.1f} articles a second")
        latency["half"] = self._load.run(rate / 2, count).figures()
        self._say("single articles into an idle worker")
        time.sleep(1.0)
        latency["single"] = self._singles().figures()
        found["latency"] = latency

    def _settled(self, worker: BenchGroup) -> Reading:
        """The counters once all that was sent is committed, which is after it was read."""
        deadline = time.monotonic() + PATIENCE_S
        while (reading := worker.read()).resolved < self._load.sent:
            if time.monotonic() > deadline:
                raise NerstreamError(f"nothing was committed for {PATIENCE_S:g} s")
            time.sleep(_SETTLE_S)
        return reading

    def _singles(self) -> Latencies:
        return self._load.run(1 / _SINGLE_GAP_S, _SINGLES)

    def _drain(self, worker: BenchGroup) -> list[Reading]:
        """Readings of the worker's counters, until all that is there is done."""
        self._say("draining it")
        readings = [worker.read()]
        last_at = time.monotonic()
        while readings[-1].resolved < self._load.sent:
            time.sleep(_LOOK_S)
            reading = worker.read()
            if reading.resolved > readings[-1].resolved:
                last_at = reading.at
                readings.append(reading)
            elif reading.at - last_at > PATIENCE_S:
                raise NerstreamError(f"nothing came out for {PATIENCE_S:g} s")
        return readings

    def _window(self) -> int:
        """Articles under way that keep every stage busy: a batch in each, and one more that is
        being filled."""
        article_bytes = sum(map(len, self._values)) / len(self._values)
        batch = max(4, int(self._settings.batch_tokens / (article_bytes / 4)))
        window = 4 * min(self._settings.batch_articles, batch)
        if not self._has_backlog:
            window = max(window, int(_EMBEDDED_WINDOW_BYTES / article_bytes))
        return window

    def _say(self, text: str) -> None:
        self._console.print(f"{text} ...")
