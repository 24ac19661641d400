"""`nerstream dead-letters` on Apache Kafka."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.contracts.choices import RejectCode
from consumer.contracts.headers import REPLAY_ATTEMPTS, REPLAY_MARK
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import (
    Record,
    end_offsets,
    read_all,
    read_settled,
    wait_for_records,
)
from tests.integration.rigs.worker_process import PATIENCE_S, WorkerProcess
from tests.integration.servers.kafka_server import ROOT
from tests.support.memory import letters
from tests.support.processes.terminal import read_terminal

_LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")


class Ground:
    """An input topic, its dead letters, and the command on them."""

    def __init__(self, kafka: str, topics: TopicFactory, capsys: Any, **config: str) -> None:
        self.kafka = kafka
        self.input = topics("articles", 3, config)
        self.dead = topics("dead", 2)
        self._capsys = capsys

    def put(self, count: int, first: int = 0, **options: Any) -> None:
        """Letters of messages `first`, `first + 1` …"""
        records = []
        for number in range(first, first + count):
            raw = letters.original(number, topic=self.input, partition=number % 3, **options)
            code = RejectCode.NO_TEXT if number % 4 == 0 else RejectCode.INVALID_JSON
            written = letters.letter(raw, code=code, to=self.dead, partition=number % 2)
            records.append(letters.record(written))
        helpers.produce(self.kafka, self.dead, records)

    def flags(self) -> list[str]:
        return [f"--bootstrap-servers={self.kafka}", f"--dead-letter-topic={self.dead}"]

    def run(self, action: str, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and standard error of a command that ends with this code."""
        self._capsys.readouterr()
        found = cli.main(["dead-letters", action, *arguments, *self.flags()])
        out, err = self._capsys.readouterr()
        assert found == code, err
        return str(out), str(err)

    def replay(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What a replay says that it has done."""
        out, _ = self.run("replay", "--json", *arguments, code=code)
        read_settled(self.kafka, self.dead)
        document: dict[str, Any] = json.loads(out)
        return document

    def numbers(self, topic: str | None = None) -> list[int]:
        """Of the messages that a topic has got."""
        return sorted(int(dict(one.headers)["n"] or b"") for one in self.read(topic))

    def read(self, topic: str | None = None) -> list[Record]:
        return read_settled(self.kafka, topic or self.input)


@pytest.fixture
def ground(kafka: str, topics: TopicFactory, capsys: pytest.CaptureFixture[str]) -> Ground:
    return Ground(kafka, topics, capsys)


def test_letters_are_listed_shown_sent_back_and_marked(ground: Ground) -> None:
    ground.put(20)
    out, err = ground.run("list", "--json", "--code=no_text")
    listed = [json.loads(line) for line in out.splitlines()]
    assert err == "5 dead letters: no_text 5\n"
    assert [(one["partition"], one["from"]["offset"]) for one in listed] == [
        (0, number) for number in (0, 4, 8, 12, 16)
    ]
    assert ground.replay("--code=no_text")["sent"] == 5
    assert ground.replay("--code=no_text")["sent"] == 0
    assert ground.numbers() == [0, 4, 8, 12, 16]
    done = ground.replay()
    assert (done["sent"], done["sent_before"], done["left"]) == (15, 5, 0)
    assert done["sent_by_topic"] == {ground.input: 15}
    assert ground.numbers() == list(range(20))
    for one in ground.read():
        number = int(dict(one.headers)["n"] or b"")
        raw = letters.original(number)
        assert (one.partition, one.key, one.value) == (number % 3, None, raw.value)
        assert one.timestamp_ms == raw.timestamp_ms
        assert one.headers == (*raw.headers, (REPLAY_ATTEMPTS, b"1"))
    out, _ = ground.run("list", "--counts", "--json")
    assert [(one["letters"], one["unsent"]) for one in map(json.loads, out.splitlines())] == [
        (15, 0),
        (5, 0),
    ]
    out, _ = ground.run("show", "0/2")
    assert f"sent to    {ground.input}\n" in out
    assert ground.run("list", "--unsent") == ("no dead letters\n", "")


def test_marks_are_in_the_dead_letter_topic_and_are_no_dead_letters(ground: Ground) -> None:
    ground.put(4)
    ground.replay()
    marks = [one for one in ground.read(ground.dead) if dict(one.headers).get(REPLAY_MARK)]
    assert [json.loads(one.value or b"")["sent"] for one in marks] == [[[0, 1]], [[0, 1]]]
    offset = marks[0].offset
    _, err = ground.run("show", f"0/{offset}", code=1)
    assert err.endswith("is no dead letter: the mark of a replay\n")
    out, _ = ground.run("list", "--json")
    assert len(out.splitlines()) == 4


def test_a_dry_run_writes_nothing(ground: Ground) -> None:
    ground.put(8)
    ends = end_offsets(ground.kafka, ground.dead, "read_uncommitted")
    plan = ground.replay("--dry-run", "--to", ground.input)
    assert plan["would_send"] == [
        {"code": "invalid_json", "to": ground.input, "letters": 6},
        {"code": "no_text", "to": ground.input, "letters": 2},
    ]
    assert ground.read() == []
    assert end_offsets(ground.kafka, ground.dead, "read_uncommitted") == ends
    _, err = ground.run("replay", "--dry-run", "--to=not-there", code=1)
    assert err.startswith("nerstream: error: there is no topic not-there; create it, name ano")


def test_another_topic(ground: Ground, topics: TopicFactory) -> None:
    debug = topics("debug", 2)
    ground.put(9)
    assert ground.replay("--to", debug)["sent_by_topic"] == {debug: 9}
    assert [one.partition for one in ground.read(debug)] == [
        int(dict(one.headers)["n"] or b"") % 3 % 2 for one in ground.read(debug)
    ]
    assert ground.replay()["sent"] == 0
    assert ground.replay("--also-sent-to", debug)["sent"] == 9
    assert ground.replay("--also-sent-to", debug)["sent"] == 0
    out, _ = ground.run("list", "--json", "--letter=0/0")
    assert json.loads(out)["sent_to"] == sorted([ground.input, debug])


def test_a_letter_circles_no_further_than_its_attempts(ground: Ground, tmp_path: Path) -> None:
    output = ground.input + "-out"
    helpers.create_topic(ground.kafka, output, 3)
    settings = {
        "bootstrap_servers": ground.kafka,
        "input_topics": ground.input,
        "output_topic": output,
        "dead_letter_topic": ground.dead,
        "group_id": ground.input,
        "dead_letter_max_ratio": 1.0,
    }
    good = Record(b'{"id": "a", "body": "Ada"}')
    poison = Record(b"{", headers=(("a", None), ("a", b"\xff")), timestamp_ms=letters.DAY_MS)
    helpers.produce(ground.kafka, ground.input, [good, poison, poison])
    try:
        with WorkerProcess(settings, tmp_path, command=_LIGHT_WORKER) as worker:
            worker.wait_ready()
            for attempt in range(1, 4):
                wait_for_letters(ground, 2 * attempt)
                assert ground.replay("--max-attempts=3")["sent"] == 2
            wait_for_letters(ground, 8)
            out, err = ground.run("replay", "--max-attempts=3")
            assert out == ""
            assert "passed over: 2 dead letters that came back 3 times or more" in err
            assert worker.terminate() == 0
        back = [one for one in ground.read() if one.value == b"{"]
        assert len(back) == 8
        counts = [dict(one.headers).get(REPLAY_ATTEMPTS) for one in back]
        assert sorted(map(str, counts)) == sorted(map(str, [None, b"1", b"2", b"3"] * 2))
        for one in back:
            assert one.headers[:2] == poison.headers
            assert one.timestamp_ms == poison.timestamp_ms
            assert not [name for name, _ in one.headers if "errors" in name or "source" in name]
        assert len(read_all(ground.kafka, output)) == 1
    finally:
        helpers.delete_topics(ground.kafka, [output])


def wait_for_letters(ground: Ground, count: int) -> None:
    """Until so many dead letters stand in the topic, marks left out."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        records = wait_for_records(ground.kafka, ground.dead, count)
        if sum(one.value == b"{" for one in records) >= count:
            return
        assert time.monotonic() < deadline, records
        time.sleep(0.1)


def test_what_another_program_holds_open_is_waited_for(ground: Ground) -> None:
    ground.put(6)
    other = helpers.producer(ground.kafka, transactional_id=f"{ground.dead}-other")
    other.init_transactions(60)
    other.begin_transaction()
    raw = letters.original(6, topic=ground.input)
    record = letters.record(letters.letter(raw, to=ground.dead))
    helpers.put(other, ground.dead, [record])
    other.flush(60)
    # A list shows what a reader sees; a replay has to know what stands behind it.
    assert len(ground.run("list", "--json")[0].splitlines()) == 6
    process = start(ground, "replay")
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    assert line.startswith(f"waiting for {ground.dead}[0] at "), line
    assert ground.read() == []
    other.commit_transaction(60)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert ground.numbers() == list(range(7))


def test_what_was_taken_back_is_no_dead_letter(ground: Ground) -> None:
    other = helpers.producer(ground.kafka, transactional_id=f"{ground.dead}-other")
    other.init_transactions(60)
    other.begin_transaction()
    raw = letters.original(6, topic=ground.input)
    helpers.put(other, ground.dead, [letters.record(letters.letter(raw, to=ground.dead))])
    other.flush(60)
    other.abort_transaction(60)
    assert ground.run("list") == ("no dead letters\n", "")
    assert ground.replay()["sent"] == 0
    _, err = ground.run("show", "0/0", code=1)
    assert f"no message stands at 0/0 of {ground.dead}: a transaction ends there, or took" in err


def test_what_the_topic_does_not_take_stays_and_the_rest_is_sent(
    kafka: str, topics: TopicFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    ground = Ground(kafka, topics, capsys, **{"max.message.bytes": "2000"})
    ground.put(5)
    ground.put(1, first=5, value=b"x" * 5_000)
    ground.put(6, first=6)
    done = ground.replay("--kafka=linger.ms=0", "--kafka=compression.type=none", code=1)
    assert (done["sent"], done["refused"], done["left"]) == (11, {"too_large": 1}, 0)
    assert ground.numbers() == [*range(5), *range(6, 12)]
    _, err = ground.run("replay", "--kafka=compression.type=none", code=1)
    assert "not sent: 1/2 (too_large): the topic" in err
    helpers.alter_topic(kafka, ground.input, {"max.message.bytes": "1000000"})
    assert ground.replay()["sent"] == 1
    assert ground.numbers() == list(range(12))


def test_letters_that_cannot_be_sent_stop_no_other(ground: Ground) -> None:
    strange = (
        ("a\0b", letters.DAY_MS),
        ("a/b", letters.DAY_MS),
        (ground.dead, letters.DAY_MS),
        ("__consumer_offsets", letters.DAY_MS),
        ("not-there", letters.DAY_MS),
        (ground.input, 0),
        (ground.input, 10**19 - 1),
    )
    for number, (topic, timestamp_ms) in enumerate(strange, 1):
        raw = letters.original(number, topic=topic)._replace(timestamp_ms=timestamp_ms)
        written = letters.letter(raw, to=ground.dead)._replace(timestamp_ms=letters.DAY_MS)
        helpers.produce(ground.kafka, ground.dead, [letters.record(written)])
    ground.put(1, timestamp_ms=None)
    refused = {"no_topic": 1, "timestamp_refused": 2, "wrong_topic": 4}
    plan = ground.replay("--dry-run", code=1)
    assert (sum(one["letters"] for one in plan["would_send"]), plan["would_refuse"]) == (1, refused)
    done = ground.replay(code=1)
    assert (done["sent"], done["refused"], done["left"]) == (1, refused, 0)
    assert [one.timestamp_ms for one in ground.read()] == [-1]
    assert ground.numbers() == [0]
    _, err = ground.run("replay", code=1)
    assert [line.partition(": ")[0] for line in err.splitlines()[2:]] == ["not sent"] * 7
    # None of them is lost: what is still there is listed, and another topic takes it.
    assert len(ground.run("list", "--json", "--unsent")[0].splitlines()) == 7
    assert ground.replay("--to", ground.input, code=1)["sent"] == 5
    assert ground.numbers() == list(range(6))


def test_the_settings_of_the_worker_serve(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.put(3)
    file = tmp_path / "worker.toml"
    file.write_text(
        f'dead_letter_topic = "{ground.dead}"\nbatch_tokens = 100\nmodel = "bundled"\n'
        '[kafka]\n"client.id" = "on-call"\n'
    )
    monkeypatch.setenv("NERSTREAM_BOOTSTRAP_SERVERS", ground.kafka)
    assert cli.main(["dead-letters", "replay", f"--config={file}"]) == 0
    assert ground.numbers() == [0, 1, 2]


def test_topics_that_are_not_there(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("list", "replay", "show"):
        arguments = ["dead-letters", action, *(["0/0"] if action == "show" else [])]
        flags = [f"--bootstrap-servers={ground.kafka}", "--dead-letter-topic=not-there"]
        assert cli.main([*arguments, *flags]) == 1
        err = capsys.readouterr().err
        assert err.startswith(
            "nerstream: error: the topic not-there (dead_letter_topic) cannot be used: "
        )
    ground.put(2)
    helpers.remove_topics(ground.kafka, [ground.input])
    _, err = ground.run("replay", code=1)
    assert "not sent: 2 dead letters, the first of them 0/0 (no_topic): there is no topic" in err
    assert read_all(ground.kafka, ground.dead)[-1].headers[0][0] != REPLAY_MARK


def test_a_second_replay_takes_over(ground: Ground) -> None:
    ground.put(300)
    first = start(ground, "replay", "--rate=20")
    helpers.wait_for_records(ground.kafka, ground.input, 5)
    assert ground.replay()["left"] == 0
    _, err = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 1
    lines = err.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"nerstream: error: another replay of {ground.dead} has begun")
    assert ground.numbers() == list(range(300))


def test_a_rate_is_kept(ground: Ground) -> None:
    ground.put(40)
    began = time.monotonic()
    assert ground.replay("--rate=20")["sent"] == 40
    # The first second's worth may go at once, the others never sooner.
    assert time.monotonic() - began >= 19 / 20


def test_a_terminal_sees_a_bar(ground: Ground) -> None:
    ground.put(100)
    ours, theirs = pty.openpty()
    process = start(
        ground,
        "replay",
        "--rate=50",
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = read_terminal(ours)
    assert process.wait(PATIENCE_S) == 0
    assert b"of 100 sent" in seen
    assert b"a second" in seen
    assert "━".encode() in seen
    assert b"sent 100 dead letters in " in seen


def start(ground: Ground, action: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "consumer", "dead-letters", action, *arguments]
    popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
    return popen(
        [*command, *ground.flags()],
        **{"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
