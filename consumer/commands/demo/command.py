"""`nerstream demo`: the whole way of an article on this machine, nothing to set up."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from consumer import resources
from consumer.codec.json_lines import json_lines_of
from consumer.commands.demo.feeding import SERVED_RATE, Feeding, demo_settings
from consumer.commands.demo.screen import JsonLines, Screen, Summary, TerminalScreen
from consumer.contracts.choices import LogFormat, LogLevel
from consumer.contracts.errors import NerstreamError, SettingsError
from consumer.contracts.messages import RawMessage
from consumer.settings.schema import Settings
from consumer.signals import EndSignals

#: Articles a second, where the command line does not say it.
RATE = 20.0

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
        metavar="ARTICLES_PER_S",
        help="how fast the articles come in; 0 is all at once "
        f"(default: {RATE:g}, or {SERVED_RATE:g} with --serve)",
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
    parser.add_argument(
        "--serve",
        action="store_true",
        help="keep running, with the articles in a loop, and show the worker's page in a browser; "
        "Ctrl-C ends it",
    )
    parser.add_argument(
        "--port",
        type=int,
        metavar="PORT",
        help="of --serve: port of the page on this machine; 0 takes a free one "
        f"(default: {Settings().admin_port})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when every article came out, 128 and the signal where one ended it before.
    With `--serve` a signal is its end, and 0.

    Raises:
        SettingsError: an argument is wrong.
        NerstreamError: the worker failed, or nothing came out.
    """
    serves = arguments.serve
    rate = arguments.rate
    if rate is None:
        rate = SERVED_RATE if serves else RATE
    if not 0 <= rate < float("inf"):
        raise SettingsError("--rate", f"{rate:g} is no rate", "give articles a second, or 0")
    _check_serving(arguments, rate)
    lines = _lines(arguments.file)
    # Imported here, so that `--help` and a wrong argument wait for no library.
    from consumer.telemetry.logs import configure_logging

    configure_logging(LogFormat.AUTO, LogLevel.WARNING)
    screen: Screen = JsonLines() if arguments.json else TerminalScreen()
    with EndSignals() as signals:
        if serves:
            from consumer.commands.demo.serving import serve

            port = Settings().admin_port if arguments.port is None else arguments.port
            return serve(lines, arguments.model, rate, port, screen, signals)
        code = _demo(lines, arguments.model, rate, screen, signals)
        return code if code == 0 or signals.number is None else 128 + signals.number


def _check_serving(arguments: argparse.Namespace, rate: float) -> None:
    """Raises `SettingsError` where an argument does not go together with `--serve`."""
    if not arguments.serve:
        if arguments.port is not None:
            raise SettingsError("--port", "there is no page without --serve", "add --serve")
        return
    if arguments.json:
        raise SettingsError("--json", "prints articles, --serve shows them", "leave one of them")
    if rate == 0:
        raise SettingsError(
            "--rate", "0 would put in articles without end", "give articles a second"
        )


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
    from consumer.telemetry.metrics import Metrics
    from consumer.telemetry.registry import new_registry

    registry = new_registry()
    with EmbeddedBroker() as broker:
        settings = demo_settings(broker.bootstrap_servers, model)
        broker.create_topics(*settings.input_topics)
        metrics = Metrics(registry)
        worker = build_worker(settings, metrics, load_tagger(settings, metrics))
        screen.begin(worker.models[0], len(lines))
        worker.start(signals)
        # The latency that is shown is the worker's, not the time that a group takes to form.
        while not (worker.state().ready or worker.failed or signals()):
            time.sleep(0.01)
        feed = Feeding(settings, lines, rate)
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
