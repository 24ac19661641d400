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
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from consumer.bench.articles import news_articles
from consumer.bench.worker.figures import printed
from consumer.bench.worker.measurements import Measurements
from consumer.bench.worker.taggers import TaggerKind
from consumer.codec.json_lines import json_lines_of
from consumer.console import SafeConsole
from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.contracts.errors import SettingsError
from consumer.kafka.tools.embedded import EmbeddedBroker
from consumer.kafka.tools.topics import temporary_topics
from consumer.loading import TAGGER_SETTINGS
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say_json

#: The settings that mean something here; topics and group are the benchmark's own.
SETTINGS = (
    "bootstrap_servers",
    "group_protocol",
    "kafka",
    "delivery",
    "commit_interval_ms",
    "text_fields",
    "text_format",
    *TAGGER_SETTINGS,
    "batch_articles",
    "batch_wait_ms",
    "in_flight_articles",
    "in_flight_bytes",
)

#: Without `--bootstrap-servers` the broker is embedded.
EMBEDDED = "embedded"
_DEFAULTS = {"model": "bundled", "bootstrap_servers": EMBEDDED}

#: The embedded broker answers a reader that finds nothing only when its time is up, however much
#: comes meanwhile.
_EMBEDDED_KAFKA = {"fetch.wait.max.ms": "10"}

#: The embedded broker makes so many, and so does the benchmark elsewhere.
PARTITIONS = 4

#: Articles that are made; they are sent over and over.
_DISTINCT = 2_000


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
        type=_whole(0),
        default=0,
        metavar="N",
        help="length of each made article; 0 is as long as real news [default: 0]",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the made articles [default: 1]")
    parser.add_argument(
        "--seconds", type=_above_zero, default=15.0, help="of each measurement, about [default: 15]"
    )
    parser.add_argument(
        "--partitions",
        type=_whole(1),
        default=PARTITIONS,
        metavar="N",
        help=f"of each topic; the embedded broker has {PARTITIONS} [default: {PARTITIONS}]",
    )
    parser.add_argument(
        "--workers", type=_whole(1), default=1, metavar="N", help="in one group [default: 1]"
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
    settings = settings_of(arguments)
    is_embedded = settings.bootstrap_servers == EMBEDDED
    partitions = PARTITIONS if is_embedded else arguments.partitions
    if arguments.workers > partitions:
        raise SettingsError(
            "--workers",
            f"{arguments.workers} workers share {partitions} partitions, so some would have none",
            f"take --workers {partitions}"
            + ("" if is_embedded else f", or --partitions {arguments.workers}"),
        )
    if arguments.articles is not None:
        values = json_lines_of(arguments.articles, "--articles")
    else:
        values = news_articles(_DISTINCT, arguments.seed, arguments.article_bytes)
    console = SafeConsole(stderr=True)
    with _brokers(settings, partitions) as ready:
        found = Measurements(arguments, ready, values, not is_embedded, console).measure()
    found["broker"] = EMBEDDED if is_embedded else "Apache Kafka"
    if arguments.json:
        say_json(found)
    else:
        printed(found, SafeConsole(file=sys.stdout))
    return 0


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The worker's settings, before the benchmark's own names are put in.

    Raises:
        SettingsError: one is wrong.
    """
    return load_settings(arguments, os.environ, defaults=_defaults(arguments))


def _defaults(arguments: argparse.Namespace) -> dict[str, Any]:
    """The embedded broker has no transactions, so there the default is the other delivery; and
    whoever joins a classic group there after its first three seconds waits for a member's session
    to time out, 45 seconds.
    """
    elsewhere = arguments.bootstrap_servers or os.environ.get("NERSTREAM_BOOTSTRAP_SERVERS")
    if elsewhere:
        return _DEFAULTS
    changes = {"delivery": Delivery.AT_LEAST_ONCE, "group_protocol": GroupProtocol.CONSUMER}
    return {**_DEFAULTS, **changes}


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
        changes = {
            "bootstrap_servers": broker.bootstrap_servers,
            "kafka": {**_EMBEDDED_KAFKA, **settings.kafka},
        }
        yield Settings.model_validate(settings.model_dump() | names | changes)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            if int(text) >= least:
                return int(text)
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least {least}')

    return read


def _above_zero(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
