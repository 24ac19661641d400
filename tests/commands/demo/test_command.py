"""`nerstream demo` as a person and as a program see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from consumer import resources
from tests.support.processes import warm_process
from tests.support.processes.warm_process import WarmProcess

ADDRESS = re.compile(r"http://\S+")


def demo(*arguments: str, run: Any = warm_process.run) -> subprocess.CompletedProcess[bytes]:
    return run(  # type: ignore[no-any-return]
        [sys.executable, "-m", "consumer", "demo", *arguments],
        capture_output=True,
        timeout=240,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "120"},
    )


def ids(lines: Sequence[bytes]) -> list[str]:
    return [json.loads(line)["id"] for line in lines]


def test_json_prints_the_tagged_messages_and_nothing_else() -> None:
    done = demo("--json", "--rate", "0", run=subprocess.run)
    assert done.returncode == 0, done.stderr.decode()
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    validator = jsonschema_rs.validator_for(resources.schema("tagged_article.v1"))
    for message in messages:
        validator.validate(message)
        assert message["tagging"]["model"] == "bundled"
        for entity in message["entities"]:
            assert message[entity["field"]][entity["start"] : entity["end"]] == entity["text"]
    good = []
    for line in resources.sample_lines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if "id" in document and isinstance(document.get("body", ""), str):
            good.append(document["id"])
    assert sorted(message["id"] for message in messages) == sorted(good)
    assert sum(len(message["entities"]) for message in messages) > 300
    rejected = re.findall(r"rejected \((\w+)\)", done.stderr.decode())
    assert sorted(rejected) == ["invalid_json", "missing_id", "wrong_type"]


def test_a_person_sees_articles_rejections_and_a_summary(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        '{"id": "1", "title": "Merkel in Paris", "body": "Angela Merkel met Airbus."}\n'
        "\n"
        '{"id": "2", "body": 5}\n'
    )
    done = demo(str(file))
    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "Merkel in Paris" in out
    assert "rejected: wrong_type" in out
    assert "1 tagged, 1 rejected" in out
    assert re.search(r"entities +\d+", out)
    for name in ("articles/s", "tokens/s", "p50", "p99"):
        assert name in out
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--rate", "-1"], "--rate"),
        (["--rate", "nan"], "--rate"),
        (["no-such-file.jsonl"], "no-such-file.jsonl"),
        (["--model", "no/such/folder"], "no/such/folder"),
        (["--port", "9464"], "--serve"),
        (["--serve", "--json"], "--json"),
        (["--serve", "--rate", "0"], "--rate"),
        (["--serve", "--port", "65536"], "--port"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], named: str) -> None:
    done = demo(*arguments)
    assert done.returncode in (1, 2)
    assert done.stdout.decode().count("\n") <= 1  # at most the line that says what is begun
    assert named in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@contextmanager
def served(start: Any = WarmProcess) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`demo --serve`, as soon as it has said where its page is; and that address."""
    command = [sys.executable, "-m", "consumer", "demo", "--serve", "--port", "0"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    with start(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            yield process, next(found[0] for line in lines if (found := ADDRESS.search(line)))
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""


def test_serve_keeps_the_worker_and_its_page_until_ctrl_c() -> None:
    with served() as (_, address):
        port = address.rpartition(":")[2].strip("/")
        # The port is taken, and the second worker says whose fault it is.
        second = demo("--serve", "--port", port)
        assert second.returncode == 2
        assert f"--port: port {port}" in second.stderr.decode()
        # Until all samples have come by once, and then more of them.
        samples = len(resources.sample_lines())
        deadline = time.monotonic() + 300
        while outcomes(address) <= samples:
            assert time.monotonic() < deadline, "the samples did not come again"
            time.sleep(1)
        answer = asked(address + "live.json")
        assert answer["state"]["kind"] in ("flowing", "behind")
        assert answer["feed"]["articles"]
        assert asked(address + "readyz")["ready"]


def test_serve_ends_while_the_model_is_being_loaded() -> None:
    with served(subprocess.Popen) as (_, address):
        state = asked(address + "live.json")["state"]
        assert state["sentence"] == "Waiting: the model is being loaded."


def asked(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def outcomes(address: str) -> float:
    """Messages that the worker has published or rejected."""
    with urllib.request.urlopen(address + "metrics", timeout=60) as answer:
        text = answer.read().decode()
    counted = r"^nerstream_(?:articles_published|messages_rejected)_total\S* (\S+)$"
    return sum(map(float, re.findall(counted, text, re.MULTILINE)))
