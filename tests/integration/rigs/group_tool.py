"""What Apache Kafka's own `kafka-consumer-groups` says of a group."""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

import pytest

from tests.integration.servers.kafka_server import KAFKA_DIR, KafkaUnavailable, find_java

_CLASS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

#: A loaded machine of two cores takes its time to start a Java process.
_TIMEOUT_S = 300.0


class Standing(NamedTuple):
    """A group in one partition; None where the tool shows a hyphen."""

    committed: int | None
    end: int | None
    lag: int | None


def describe(bootstrap: str, group: str) -> dict[tuple[str, int], Standing]:
    """`kafka-consumer-groups --describe`: committed offset, end and lag by topic and partition.

    Skips the test where the tool is missing; fails under CI=true.
    """
    done = subprocess.run(
        [
            *(_java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m"),
            *("-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", str(KAFKA_DIR / "libs/*")),
            *(_CLASS, "--bootstrap-server", bootstrap, "--describe", "--group", group),
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    head = next((row for row in rows if row[:3] == ["GROUP", "TOPIC", "PARTITION"]), None)
    if head is None:  # it has committed nothing yet
        return {}
    at = [head.index(name) for name in ("CURRENT-OFFSET", "LOG-END-OFFSET", "LAG")]
    return {
        (row[1], int(row[2])): Standing(*(_number(row[column]) for column in at))
        for row in rows[rows.index(head) + 1 :]
        if row[0] == group
    }


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)


def _java() -> str:
    """Java, where the tool's jar is there too."""
    try:
        if not list(KAFKA_DIR.glob("libs/kafka-tools-*.jar")):
            raise KafkaUnavailable("Apache Kafka's tools are not installed; run `make kafka`")
        return find_java()
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
