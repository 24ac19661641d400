"""`nerstream run --progress` as the command, on a terminal, with a model, on Apache Kafka."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.processes.terminal import read_terminal

pytestmark = pytest.mark.kafka


def on_terminal(command: list[str]) -> tuple[int, str]:
    """The exit code of a command, and what it wrote to its terminal."""
    parent, child = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environ)
    os.close(child)
    seen = read_terminal(parent)
    return process.wait(300), seen.decode()


def test_a_bar_shows_articles_share_rate_and_time_left_above_it_the_log(
    kafka: str, topics: TopicFactory, group: str, tiny_model: Path
) -> None:
    taken, output, dead = topics("in"), topics("out"), topics("dead")
    helpers.produce(
        kafka,
        taken,
        [json.dumps({"id": str(n), "body": "Ada Marsh spoke"}).encode() for n in range(500)],
    )
    flags = [
        *("--bootstrap-servers", kafka, "--input-topics", taken, "--output-topic", output),
        *("--dead-letter-topic", dead, "--group-id", group, "--model", str(tiny_model)),
        *("--admin-port", "0", "--from", "earliest", "--until", "end"),
        *("--progress", "--only-other-revisions"),
    ]
    code, seen = on_terminal([sys.executable, "-m", "consumer", "run", *flags])
    assert code == 0, seen
    assert "500 of 500 articles, 100 %" in seen
    assert "0:00:00 left" in seen
    # A line of the log begins where the bar was, and is whole.
    lines = seen.replace("\x1b[2K", "").replace("\r", "\n").split("\n")
    assert any("each partition of the run is committed to its end" in line for line in lines)
    assert "Traceback" not in seen
