"""`nerstream demo`: the whole way of an article on this machine, nothing to set up."""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from consumer import resources
from consumer.codec.json_lines import json_lines_of
from consumer.commands.demo.screen import JsonLines, Screen, Summary, TerminalScreen
from consumer.contracts.choices import Delivery, LogFormat, LogLevel
from consumer.contracts.errors import NerstreamError, SettingsError
from consumer.contracts.messages import RawMessage
from consumer.settings.schema import Settings
from consumer.signals import EndSignals
from consumer.telemetry.logs import configure_logging
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry

#: With nothing coming out for so long, something is wrong.
PATIENCE_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's few options."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="JSON lines to tag instead of the sample articles",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=20.0,
        metavar="ARTICLES_PER_S",
        help="how fast the articles come in; 0 is all at once (default: %(default)g)",
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help="hub id, local folder or `bundled` (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the tagged messages, one JSON object a line, and nothing else",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when every article came out, 128 and the signal where one ended it before.

    Raises:
        SettingsError: an argument is wrong.
        NerstreamError: the worker failed, or nothing came out.
    """
    if not 0 <= arguments.rate < float("inf"):
        raise SettingsError(
            "--rate", f"{arguments.rate:g} is no rate", "give articles a second, or 0"
        )
    lines = _lines(arguments.file)
    configure_logging(LogFormat.AUTO, LogLevel.WARNING)
    screen: Screen = JsonLines() if arguments.json else TerminalScreen()
    with EndSignals() as signals:
        code = _demo(lines, arguments.model, arguments.rate, screen, signals)
        return code if code == 0 or signals.number is None else 128 + signals.number


def _lines(path: Path | None) -> list[bytes]:
    if path is None:
        return resources.sample_lines()
    return json_lines_of(path, "FILE")


def _demo(
    lines: Sequence[bytes], model: str, rate: float, screen: Screen, signals: Callable[[], int]
) -> int:
    screen.status("starting the embedded broker and loading the model")
    # Imported here: torch takes seconds, and the person should see something first.
    from consumer.app import build_worker, load_tagger
    from consumer.kafka.tools.embedded import EmbeddedBroker
    from consumer.kafka.tools.reader import TopicReader

    registry = new_registry()
    with EmbeddedBroker() as broker:
        settings = Settings(
            bootstrap_servers=broker.bootstrap_servers,
            model=model,
            # The embedded broker has no real transactions; see `consumer.kafka.tools.embedded`.
            delivery=Delivery.AT_LEAST_ONCE,
            # Small batches, so that the articles stream by instead of coming out in one piece.
            batch_tokens=1_024,
            # A file of one's own may be all wrong; the demo is there to show it.
            dead_letter_max_ratio=1.0,
        )
        broker.create_topics(*settings.input_topics)
        metrics = Metrics(registry)
        worker = build_worker(settings, metrics, load_tagger(settings, metrics))
        screen.begin(worker.models[0], len(lines))
        worker.start(signals)
        # The latency that is shown is the worker's, not the time that a group takes to form.
        while not (worker.state().ready or worker.failed or signals()):
            time.sleep(0.01)
        feed = _Feed(settings, lines, rate)
        feed.start()
        topics = (settings.output_topic, settings.dead_letter_topic)
        with TopicReader(settings, topics) as reader:
            show = _Show(screen, settings.output_topic)
            while show.count < len(lines) and not signals():
                feed.check()
                if worker.failed:
                    break
                for message in reader.poll(100, 0.05):
                    show.message(message)
                if time.monotonic() - show.last_at > PATIENCE_S:
                    raise NerstreamError(f"nothing came out for {PATIENCE_S:g} s")
        worker.stop()
        worker.wait(signals)
    screen.end(
        show.summary(
            tokens=sum(
                sample.value
                for family in registry.collect()
                for sample in family.samples
                if sample.name == "nerstream_tokens_total"
            ),
            model_seconds=registry.get_sample_value(
                "nerstream_stage_duration_seconds_sum", {"stage": "tag"}
            ),
            rate=rate,
        )
    )
    return 0 if show.count == len(lines) else 1


class _Feed(threading.Thread):
    """Puts the articles in at their rate, beside the loop that shows what comes out."""

    def __init__(self, settings: Settings, lines: Sequence[bytes], rate: float) -> None:
        super().__init__(name="nerstream-demo-feed", daemon=True)
        self._settings = settings
        self._lines = lines
        self._rate = rate
        self._failure: Exception | None = None

    def run(self) -> None:
        from consumer.kafka.tools.writer import TopicWriter

        try:
            with TopicWriter(self._settings, self._settings.input_topics[0]) as writer:
                writer.open()
                started = time.monotonic()
                for number, line in enumerate(self._lines):
                    if self._rate:
                        writer.wait(started + number / self._rate - time.monotonic())
                    writer.send(line, str(number).encode())
                writer.flush()
        except Exception as failure:  # raised by `check`, on the thread that shows
            self._failure = failure

    def check(self) -> None:
        """Raise what went wrong."""
        if self._failure is not None:
            raise self._failure


class _Show:
    """Hands what comes out to the screen and keeps the figures."""

    def __init__(self, screen: Screen, output_topic: str) -> None:
        self.count = 0
        self.last_at = self._started_at = time.monotonic()
        self._screen = screen
        self._output_topic = output_topic
        self._rejected = 0
        self._entities: Counter[str] = Counter()
        self._latencies_s: list[float] = []

    def message(self, message: RawMessage) -> None:
        """One message of the output or the dead-letter topic."""
        self.count += 1
        self.last_at = time.monotonic()
        if message.timestamp_ms is not None:
            self._latencies_s.append(max(0.0, time.time() - message.timestamp_ms / 1000))
        if message.position.topic_partition.topic != self._output_topic:
            self._rejected += 1
            self._screen.rejected(message)
            return
        if message.value is not None:
            self._entities.update(one["type"] for one in orjson.loads(message.value)["entities"])
        self._screen.tagged(message)

    def summary(self, tokens: float, model_seconds: float | None, rate: float) -> Summary:
        """The figures so far."""
        return Summary(
            articles=self.count - self._rejected,
            rejected=self._rejected,
            entities_by_type=self._entities,
            seconds=max(1e-9, self.last_at - self._started_at),
            model_seconds=model_seconds or 0.0,
            tokens=int(tokens),
            latencies_s=self._latencies_s,
            offered_rate=rate,
        )
