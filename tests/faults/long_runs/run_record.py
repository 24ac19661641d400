"""RunRecord: what a long run is remembered by, on the screen and in `docs/`."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import confluent_kafka

from consumer import __version__
from tests.integration.servers.kafka_server import KAFKA_DIR


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The figures of one run, by name.

    Attributes:
        title: of the page; told: what was run, in a paragraph.
    """

    title: str
    told: str
    figures: Mapping[str, str]

    def table(self) -> str:
        """The figures for a screen."""
        width = max(map(len, self.figures))
        return "\n".join(f"{name:{width}}  {value}" for name, value in self.figures.items())

    def page(self, on: datetime) -> str:
        """The figures as a page in Markdown."""
        rows = "".join(f"| {name} | {value} |\n" for name, value in self.figures.items())
        return (
            f"# {self.title}\n\n{self.told} Run on {on:%Y-%m-%d}.\n\n| | |\n| --- | --- |\n{rows}"
        )

    def write(self, path: Path) -> None:
        """Write the page."""
        path.write_text(self.page(datetime.now(UTC)), "utf-8")


def versions() -> str:
    """What the run was made with."""
    jars = (KAFKA_DIR / "libs").glob("kafka-clients-*.jar")
    kafka = ", ".join(sorted(jar.stem.removeprefix("kafka-clients-") for jar in jars))
    return (
        f"nerstream {__version__}, Apache Kafka {kafka or 'as named'}, "
        f"confluent-kafka {confluent_kafka.__version__}, "
        f"librdkafka {confluent_kafka.libversion()[0]}, Python {platform.python_version()}"
    )
