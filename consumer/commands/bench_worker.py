"""`nerstream bench worker`: how fast the worker is, from broker to broker.

The worker is a process of its own, the same as `nerstream run`; this process puts the load on it.
On Apache Kafka a backlog is drained first, with nobody else at the machine; then articles come
at a rate and each one's latency is taken. The embedded broker keeps few messages, so there the
backlog is a window that is filled up as articles come out.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from consumer.commands.bench_articles import articles_of, news_articles
from consumer.commands.bench_figures import printed, surroundings, throughput
from consumer.commands.bench_load import Latencies, Load
from consumer.commands.bench_process import PATIENCE_S, BenchWorker, Reading, tagger_alone
from consumer.commands.bench_taggers import TaggerKind
from consumer.errors import NerstreamError, SettingsError
from consumer.settings import Delivery, Settings
from consumer.settings_arguments import add_settings_arguments
from consumer.settings_sources import load_settings

#: The settings that mean something here; topics and group are the benchmark's own.
SETTINGS = (
    "bootstrap_servers",
    "group_protocol",
    "kafka",
    "delivery",
    "commit_interval_ms",
    "text_fields",
    "model",
    "revision",
    "device",
    "dtype",
    "threads",
    "aggregation",
    "window_overlap_tokens",
    "window_tokens",
    "batch_tokens",
    "batch_articles",
    "batch_wait_ms",
    "in_flight_articles",
    "in_flight_bytes",
)

#: Without `--bootstrap-servers` the broker is embedded.
EMBEDDED = "embedded"
_DEFAULTS = {"model": "bundled", "bootstrap_servers": EMBEDDED}

#: The embedded broker makes so many, and so does the benchmark elsewhere.
PARTITIONS = 4

#: Articles a second of a tagger that costs nothing, for how many to send at first.
_NULL_RATE = 25_000

#: Articles that are made; they are sent over and over.
_DISTINCT = 2_000

#: Single articles that are sent to an idle worker, and the seconds between them.
_SINGLES, _SINGLE_GAP_S = 20, 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, on what, and the worker's settings."""
    parser.add_argument(
        "--tagger",
        choices=list(TaggerKind),
        default=TaggerKind.MODEL,
        help="tokenizer leaves out the model, null the tokeniser too: what the rest of the worker "
        "costs [default: model]",
    )
    parser.add_argument(
        "--articles", type=Path, metavar="FILE", help="JSON lines, instead of made ones"
    )
    parser.add_argument(
        "--article-bytes",
        type=int,
        default=0,
        metavar="N",
        help="length of each made article; 0 is as long as real news [default: 0]",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the made articles [default: 1]")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="of each measurement, about [default: 15]"
    )
    parser.add_argument(
        "--partitions",
        type=int,
        default=PARTITIONS,
        metavar="N",
        help=f"of each topic; the embedded broker has {PARTITIONS} [default: {PARTITIONS}]",
    )
    parser.add_argument(
        "--throughput-only", action="store_true", help="leave out the measurements of latency"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings_arguments(parser, SETTINGS, defaults=_DEFAULTS)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print what was found.

    Raises:
        SettingsError: an argument is wrong, or the delivery needs a real broker.
        NerstreamError: the worker or a broker failed.
    """
    settings = load_settings(arguments, os.environ, defaults=_defaults(arguments))
    if arguments.articles is not None:
        values = articles_of(arguments.articles)
    else:
        values = news_articles(_DISTINCT, arguments.seed, arguments.article_bytes)
    console = Console(stderr=True, highlight=False)
    with _brokers(settings, arguments.partitions) as ready:
        is_embedded = settings.bootstrap_servers == EMBEDDED
        found = _Bench(arguments, ready, values, not is_embedded, console).measure()
    found["broker"] = EMBEDDED if is_embedded else "Apache Kafka"
    if arguments.json:
        print(orjson.dumps(found).decode())
    else:
        printed(found, Console(file=sys.stdout, highlight=False))
    return 0


def _defaults(arguments: argparse.Namespace) -> dict[str, Any]:
    """The embedded broker has no transactions, so there the default is the other delivery."""
    elsewhere = arguments.bootstrap_servers or os.environ.get("NERSTREAM_BOOTSTRAP_SERVERS")
    return _DEFAULTS if elsewhere else {**_DEFAULTS, "delivery": Delivery.AT_LEAST_ONCE}


@contextlib.contextmanager
def _brokers(settings: Settings, partitions: int) -> Iterator[Settings]:
    """The settings with brokers that answer and topics that are new."""
    mark = uuid.uuid4().hex[:8]
    names = {
        "input_topics": (f"nerstream-bench-in-{mark}",),
        "output_topic": f"nerstream-bench-out-{mark}",
        "dead_letter_topic": f"nerstream-bench-dead-{mark}",
        "group_id": f"nerstream-bench-{mark}",
    }
    # Imported here: `--help` and a wrong argument should not wait for the client library.
    from consumer.kafka.embedded import EmbeddedBroker
    from consumer.kafka.topics import temporary_topics

    topics = (*names["input_topics"], names["output_topic"], names["dead_letter_topic"])
    if settings.bootstrap_servers != EMBEDDED:
        ready = Settings.model_validate(settings.model_dump() | names)
        with temporary_topics(ready, [str(one) for one in topics], partitions):
            yield ready
        return
    if settings.delivery is Delivery.EXACTLY_ONCE:
        raise SettingsError(
            "delivery",
            "exactly_once cannot be measured on the embedded broker, which has no transactions",
            "name an Apache Kafka with --bootstrap-servers, or take --delivery at_least_once",
        )
    with EmbeddedBroker() as broker:
        broker.create_topics(*[str(one) for one in topics])
        servers = {"bootstrap_servers": broker.bootstrap_servers}
        yield Settings.model_validate(settings.model_dump() | names | servers)


class _Bench:
    """The measurements, one after the other."""

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
        self._with_latency = not arguments.throughput_only
        self._has_backlog = has_backlog
        self._settings = settings
        self._values = values
        self._load = Load(settings, values)
        self._console = console

    def measure(self) -> dict[str, Any]:
        """All of them, as one document."""
        found: dict[str, Any] = surroundings(self._settings, self._kind, self._values)
        alone = None
        if self._kind is not TaggerKind.NULL:
            self._say(f"the {self._kind} alone")
            alone = tagger_alone(self._settings, self._kind, self._values, self._seconds)
            found["alone"] = alone
        guess = alone["articles_per_s"] if alone else _NULL_RATE
        if self._has_backlog:
            # A tenth more is the beginning, before everything is warm.
            count = max(50, int(guess * self._seconds * 1.1))
            self._say(f"a backlog of {count:,} articles")
            self._load.fill(count)
        with BenchWorker(self._settings, self._kind) as worker:
            self._say("starting the worker")
            found["start_s"] = worker.wait_ready()
            if self._has_backlog:
                found["throughput"] = throughput(self._drain(worker), alone)
            self._latencies(worker, guess, alone, found)
            found["peak_bytes"] = worker.peak_bytes
            last = worker.read()
            found["stop_s"] = worker.stop()
        if last.resolved != self._load.sent:
            raise NerstreamError(f"{self._load.sent} went in, {last.resolved:.0f} came out")
        return found

    def _latencies(
        self,
        worker: BenchWorker,
        guess: float,
        alone: dict[str, float] | None,
        found: dict[str, Any],
    ) -> None:
        rate = found["throughput"]["articles_per_s"] if self._has_backlog else guess
        if self._has_backlog and not self._with_latency:
            return
        count = max(20, int(rate * self._seconds))
        # What keeps every stage busy: a batch in each, and one more that is being filled.
        window = 4 * min(self._settings.batch_articles, max(4, self._articles_a_batch()))
        self._say(f"full load, {count:,} articles")
        before = worker.read()
        full = self._load.run(0.0, count, window)
        after = worker.read()
        if not self._has_backlog:
            found["throughput"] = throughput([before, after], alone, full.seconds)
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

    def _singles(self) -> Latencies:
        return self._load.run(1 / _SINGLE_GAP_S, _SINGLES)

    def _drain(self, worker: BenchWorker) -> list[Reading]:
        """Readings of the worker's counters, until all that is there is done."""
        self._say("draining it")
        readings = [worker.read()]
        last_at = time.monotonic()
        while readings[-1].resolved < self._load.sent:
            time.sleep(0.1)
            reading = worker.read()
            if reading.resolved > readings[-1].resolved:
                last_at = reading.at
                readings.append(reading)
            elif reading.at - last_at > PATIENCE_S:
                raise NerstreamError(f"nothing came out for {PATIENCE_S:g} s")
        return readings

    def _articles_a_batch(self) -> int:
        by_tokens = self._settings.batch_tokens / (
            sum(map(len, self._values)) / len(self._values) / 4
        )
        return max(1, int(by_tokens))

    def _say(self, text: str) -> None:
        self._console.print(f"{text} ...")
