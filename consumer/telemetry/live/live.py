"""Live: keeps the last quarter of an hour, and answers what has changed since a page asked."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from consumer import __version__
from consumer.contracts.choices import Switch
from consumer.contracts.messages import Outcome
from consumer.contracts.type_colors import color_of
from consumer.settings.schema import Settings
from consumer.telemetry import declarations as declared
from consumer.telemetry.health import Health
from consumer.telemetry.live.feed import Feed
from consumer.telemetry.live.point import Point, between
from consumer.telemetry.live.reading import Collect, Reading, needed_of, read
from consumer.telemetry.live.state import state_of
from consumer.telemetry.live.units import apart, busy_of, last_unit_s

#: Seconds between two points of the charts.
STEP_S = 5.0
#: Points that are kept: 15 minutes.
KEPT = 180
#: Seconds that the latest figures are taken over, at least.
_LATEST_S = 2.5
#: Seconds for which one answer serves all pages that ask.
_SHARED_S = 0.5

log = logging.getLogger(__name__)


class Live:
    """Reads the metrics every `STEP_S` seconds, and at most twice a second where somebody looks;
    the stages of the worker know nothing of it. Any thread may ask.

    Args:
        collect: gives the metrics; see `reading.needed_of`.
        health: asked when somebody looks; must be quick.
        facts: of the worker, see `facts_of`.
        feed: the latest articles; None where the page shows no text.
        commit_interval_s: as `state_of` takes it.
        clock: monotonic seconds; wall_clock: seconds since the epoch, asked once.
    """

    def __init__(
        self,
        collect: Collect,
        health: Callable[[], Health],
        facts: Mapping[str, Any],
        feed: Feed | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        commit_interval_s: float = 0.0,
    ) -> None:
        self._collect = collect
        self._health = health
        self._facts = dict(facts)
        self._feed = feed
        self._clock = clock
        self._commit_interval_s = commit_interval_s
        # A clock that is set during the run would make seconds of any length.
        self._epoch = wall_clock() - clock()
        #: Tells a page that the worker is another than the one which it asked before.
        self._boot = uuid.uuid4().hex[:12]
        self._lock = threading.Lock()
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._readings: deque[Reading] = deque(maxlen=2)
        self._latest: tuple[Reading, Point] | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sent(self) -> Callable[[Outcome], None] | None:
        """To be told of each outcome that is sent; None where the page shows no text."""
        return None if self._feed is None else self._feed.note

    def start(self) -> None:
        """Begin to keep points. Returns at once."""
        self.sample()
        self._thread = threading.Thread(target=self._run, name="nerstream-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Keep no more. May be called twice."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def sample(self) -> None:
        """Read the metrics once, and keep what happened since the last time."""
        reading = self._read()
        with self._lock:
            if self._readings:
                self._points.append(self._between(self._readings[-1], reading))
            self._readings.append(reading)

    def answer(self, after: float = 0.0, number: int = 0, boot: str = "") -> bytes:
        """What has changed, as JSON.

        Args:
            after: the time of the last point that the page has, in seconds since the epoch; 0 for
                all points.
            number: the highest number among the articles and rejected messages that it has.
            boot: what the answer before called the worker; after another one all is new.
        """
        if boot != self._boot:
            after, number = 0.0, 0
        reading, latest = self._look()
        with self._lock:
            points = list(self._points)
        try:
            health = self._health()
        except Exception as error:
            log.exception("the health check failed")
            health = Health(False, False, (f"the health check failed: {error!r}",))
        state = state_of(health, latest, points, self._commit_interval_s)
        answer = {
            "boot": self._boot,
            "now": round(self._clock() + self._epoch, 2),
            "step": STEP_S,
            "kept": KEPT,
            "facts": self._facts
            | {"models": [" · ".join(model) for model in sorted(reading.models)]},
            "colors": {name: color_of(name) for name in reading.by_label(declared.ENTITIES)},
            "state": {"kind": state.kind, "sentence": state.sentence, "reasons": state.reasons},
            "points": [point.as_json() for point in points if point.at > after + 0.01],
            "latest": latest.as_json() | _only_now(latest, points) | _run(reading),
            "feed": None if self._feed is None else self._feed.after(number),
        }
        return orjson.dumps(answer)

    def _look(self) -> tuple[Reading, Point]:
        """The latest seconds; the same for all who ask at the same time."""
        with self._lock:
            now = self._clock() + self._epoch
            if self._latest is None or not 0 <= now - self._latest[1].at < _SHARED_S:
                reading = read(self._collect, now)
                earlier = [one for one in self._readings if now - one.at >= _LATEST_S]
                before = earlier[-1] if earlier else next(iter(self._readings), Reading(now - 1))
                self._latest = reading, self._between(before, reading)
            return self._latest

    def _between(self, before: Reading, after: Reading) -> Point:
        """What happened from one reading to the next; under the lock."""
        point = between(before, after)
        newest_first = apart(point, self._points)
        return replace(point, busy={stage: busy_of(stage, newest_first) for stage in point.worked})

    def _read(self) -> Reading:
        return read(self._collect, self._clock() + self._epoch)

    def _run(self) -> None:
        told = False
        while not self._closed.wait(STEP_S):
            try:
                self.sample()
            except Exception:
                # Charts with a gap are no reason to say the same every few seconds.
                if not told:
                    log.exception("the metrics cannot be read for the live page")
                told = True


def live_from(
    settings: Settings, registry: CollectorRegistry, health: Callable[[], Health]
) -> Live:
    """What the page shows of a worker with these settings and metrics."""
    feed = Feed() if settings.admin_show_text is Switch.ON else None
    return Live(
        needed_of(registry),
        health,
        facts_of(settings),
        feed,
        commit_interval_s=settings.commit_interval_ms / 1000,
    )


def facts_of(settings: Settings) -> dict[str, Any]:
    """What the page says of a worker beside its figures; nothing that is secret."""
    return {
        "version": __version__,
        "group": settings.group_id,
        "instance": settings.instance,
        "inputs": list(settings.input_topics),
        "output": settings.output_topic,
        "dead_letters": settings.dead_letter_topic,
        "delivery": settings.delivery.value,
        "batch_tokens": settings.batch_tokens,
        "batch_articles": settings.batch_articles,
        # The page of several workers shows none, and says why.
        "text_wanted": settings.admin_show_text is Switch.ON,
    }


def _only_now(point: Point, points: Sequence[Point]) -> dict[str, Any]:
    """What no chart is drawn of."""
    newest_first = apart(point, points)
    units = {stage: last_unit_s(stage, newest_first) for stage in point.worked}
    return {
        "parts_all": point.partitions,
        "fly_bytes": point.in_flight_bytes,
        "paused": point.paused,
        "queues": dict(point.queues),
        "unit": {stage: round(taken, 6) for stage, taken in units.items() if taken is not None},
        "blocked": point.blocked,
    }


def _run(reading: Reading) -> dict[str, Any]:
    """How far a bounded run is."""
    total = reading.sum(declared.RUN_OFFSETS)
    if not total:
        return {}
    left_s = reading.sum(declared.RUN_SECONDS_LEFT)
    return {
        "run": {
            "total": int(total),
            "done": int(reading.sum(declared.RUN_OFFSETS_DONE)),
            "left": None if left_s == float("inf") else round(left_s, 1),
        }
    }
