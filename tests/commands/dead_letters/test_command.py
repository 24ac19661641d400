"""The command on the embedded broker; what it does to Apache Kafka is in tests/integration."""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.commands.dead_letters import command
from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import RawMessage
from consumer.dead_letters import waiting as waiting_module
from consumer.kafka.tools.bounded_reader import BoundedReader
from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.integration.rigs import helpers
from tests.support.memory.letters import DAY_MS, letter, original, record
from tests.support.processes.terminal import read_terminal

ROOT = Path(__file__).parents[3]


@pytest.fixture
def broker() -> Iterator[str]:
    with EmbeddedBroker() as embedded:
        embedded.create_topics("dead")
        yield embedded.bootstrap_servers


class Command:
    """Runs an action on the topic `dead`."""

    def __init__(self, broker: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._broker = broker
        self._capsys = capsys

    def put(self, *raws: RawMessage, code: RejectCode = RejectCode.INVALID_JSON) -> None:
        reason = "bad \x1b[31m\u202e: " + code.value
        records = [record(letter(raw, code=code, reason=reason)) for raw in raws]
        helpers.produce(self._broker, "dead", records)

    def flags(self) -> list[str]:
        return [f"--bootstrap-servers={self._broker}", "--dead-letter-topic=dead"]

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        found = cli.main(["dead-letters", *arguments, *self.flags()])
        out, err = self._capsys.readouterr()
        assert found == code, err
        return out, err

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        out, _ = self(*arguments, "--json")
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def nerstream(broker: str, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(broker, capsys)


# --- list


def test_the_table_has_a_line_a_letter_and_the_counts(nerstream: Command) -> None:
    nerstream.put(original(0), original(1, topic="news", partition=2))
    nerstream.put(original(2)._replace(timestamp_ms=None), code=RejectCode.NO_TEXT)
    out, err = nerstream("list")
    assert err == ""
    assert out.splitlines() == [
        "letter  timestamp                 code          from          attempts  sent to  reason",
        "0/0     2026-11-29T06:00:00.000Z  invalid_json  articles/0/0         0"
        "           bad \\x1b[31m\\u202e: invalid_json",
        "0/1     2026-11-29T06:00:00.001Z  invalid_json  news/2/1             0"
        "           bad \\x1b[31m\\u202e: invalid_json",
        "0/2                               no_text       articles/0/2         0"
        "           bad \\x1b[31m\\u202e: no_text",
        "",
        "3 dead letters: invalid_json 2, no_text 1",
    ]


def test_json_lines_are_safe_and_whole(nerstream: Command) -> None:
    nerstream.put(original(5, topic="news", partition=2, key=b"k"))
    out, err = nerstream("list", "--json")
    assert out.isascii()
    assert json.loads(out) == {
        "partition": 0,
        "offset": 0,
        "code": "invalid_json",
        "reason": "bad \x1b[31m\u202e: invalid_json",
        "stage": "prepare",
        "timestamp": "2026-11-29T06:00:00.005Z",
        "from": {"topic": "news", "partition": 2, "offset": 5},
        "attempts": 0,
        "sent_to": [],
        "bytes": 10,
        "version": "1.2.3",
    }
    assert err == "1 dead letter: invalid_json 1\n"


def test_filters(nerstream: Command) -> None:
    nerstream.put(*(original(number) for number in range(3)))
    nerstream.put(original(3, topic="news-eu"), code=RejectCode.NO_TEXT)

    def offsets(*arguments: str) -> list[int]:
        return [one["from"]["offset"] for one in nerstream.json("list", *arguments)]

    assert offsets() == [0, 1, 2, 3]
    assert offsets("--code=no_text") == [3]
    assert offsets("--code", "no_text,wrong_type", "--code=invalid_json") == [0, 1, 2, 3]
    assert offsets("--topic=articles") == [0, 1, 2]
    assert offsets("--topic=^news-.*") == [3]
    assert offsets(f"--from={DAY_MS + 2}") == [2, 3]
    assert offsets("--until=2026-11-29T06:00:00.001Z") == [0]
    assert offsets("--text=NO_text") == [3]
    assert offsets("--letter=0/1", "--letter=0/3") == [1, 3]
    assert offsets("--limit=2") == [0, 1]
    assert offsets("--from=1s") == []


def test_a_limit_is_told(nerstream: Command) -> None:
    nerstream.put(*(original(number) for number in range(3)))
    assert nerstream("list", "--limit=2")[0].endswith("and more; --limit 2 ends the list here\n")
    assert nerstream("list", "--limit=3")[0].endswith("3 dead letters: invalid_json 3\n")


def test_counts(nerstream: Command) -> None:
    nerstream.put(*(original(number) for number in range(3)))
    nerstream.put(original(3, topic="news"), code=RejectCode.NO_TEXT)
    assert nerstream.json("list", "--counts") == [
        {
            "code": "invalid_json",
            "letters": 3,
            "unsent": 3,
            "oldest": "2026-11-29T06:00:00.000Z",
            "newest": "2026-11-29T06:00:00.002Z",
            "topics": ["articles"],
        },
        {
            "code": "no_text",
            "letters": 1,
            "unsent": 1,
            "oldest": "2026-11-29T06:00:00.003Z",
            "newest": "2026-11-29T06:00:00.003Z",
            "topics": ["news"],
        },
    ]
    out, _ = nerstream("list", "--counts")
    assert out.endswith("\n\n4 dead letters, 4 of them not sent back\n")
    out, _ = nerstream("list", "--counts", "--code=no_text")
    assert out.endswith("\n\n1 dead letter, 1 of them not sent back\n")


def test_an_empty_topic(nerstream: Command) -> None:
    assert nerstream("list") == ("no dead letters\n", "")
    assert nerstream("list", "--json") == ("", "no dead letters\n")


# --- show


def test_a_letter_is_shown_with_its_bytes_made_safe(nerstream: Command) -> None:
    headers = (("h\x1b", b"\xff"), ("none", None))
    raw = original(7, topic="news", partition=1, key=b"k\x1b", headers=headers)
    nerstream.put(raw._replace(value=b"one\ncode       forged\r\x1b[2J\xfe \xe2\x80\xae"))
    out, _ = nerstream("show", "0/0")
    assert out.splitlines() == [
        "letter     dead/0/0",
        "code       invalid_json",
        "reason     bad \\x1b[31m\\u202e: invalid_json",
        "stage      prepare",
        "from       news/1/7",
        "timestamp  2026-11-29T06:00:00.007Z",
        "attempts   0",
        "sent to    nowhere yet",
        "version    1.2.3",
        "key        k\\x1b",
        "headers    h\\x1b: \\xff",
        "           none: null",
        "value      31 bytes",
        "  one",
        "  code       forged\\r\\x1b[2J\\xfe \\u202e",
    ]


def test_a_long_value_is_cut_and_a_null_is_told(nerstream: Command) -> None:
    nerstream.put(original(0, value=b"x" * 10_000), original(1, value=None))
    out, _ = nerstream("show", "0/0")
    assert out.endswith("\n           and 5,904 bytes more; see --bytes and --raw\n")
    out, _ = nerstream("show", "0/0", "--bytes=10000")
    assert out.endswith("\n  " + "x" * 10_000 + "\n")
    out, _ = nerstream("show", "0/1")
    assert out.endswith("value      null\n")


def test_json_has_all_bytes(nerstream: Command) -> None:
    headers = (("a", b"1"), ("a", None))
    nerstream.put(
        original(0, key=b"k", headers=headers)._replace(value=b"\xff"),
        original(1, value=None, headers=()),
    )
    (found,) = nerstream.json("show", "0/0")
    assert found["value"] == {"base64": "/w=="}
    assert found["key"] == {"text": "k"}
    assert found["headers"] == [
        {"name": "a", "value": {"text": "1"}},
        {"name": "a", "value": None},
    ]
    (found,) = nerstream.json("show", "0/1")
    assert (found["value"], found["key"], found["headers"]) == (None, None, [])


def test_raw_bytes_are_for_a_file_and_not_for_a_terminal(
    nerstream: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = bytes(range(256))
    nerstream.put(original(0, value=value))
    command = [sys.executable, "-m", "consumer", "dead-letters", "show", "0/0", "--raw"]
    done = subprocess.run(
        [*command, *nerstream.flags()], cwd=ROOT, capture_output=True, timeout=120, check=True
    )
    assert done.stdout == value
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, err = nerstream("show", "0/0", "--raw", code=2)
    assert err.startswith("nerstream: error: --raw: standard output is a terminal, which the bytes")


def test_what_is_not_there(nerstream: Command) -> None:
    nerstream.put(original(0))
    helpers.produce(nerstream._broker, "dead", [helpers.Record(b"x", partition=0)])
    for place, said in {
        "9/0": "the topic dead has no partition 9; it has 0 to 3",
        "0/2": "dead[0] has no offset 2; it has 0 to 1",
        "1/0": "dead[1] is empty",
        "0/1": "what stands at 0/1 of dead is no dead letter: a message of another program",
    }.items():
        _, err = nerstream("show", place, code=1)
        assert err == f"nerstream: error: {said}\n"


# --- replay


def test_a_dry_run_says_what_cannot_be_sent(nerstream: Command) -> None:
    helpers.produce(nerstream._broker, "articles", [helpers.Record(b"x", partition=0)])
    nerstream.put(original(0, topic="a\0b"), original(1), original(2, topic="dead"))
    nerstream.put(original(3, topic="a\0b"), original(4, timestamp_ms=-4))
    out, err = nerstream("replay", "--dry-run", code=1)
    assert out.endswith("\n\n1 dead letter would be sent; nothing was\n")
    assert [line.split(", ")[0] for line in err.splitlines()] == [
        "cannot be sent: 2 dead letters",
        "cannot be sent: 0/2 (wrong_topic): it came from dead",
        "cannot be sent: 0/4 (timestamp_refused): its timestamp is 0",
    ]
    assert ', the first of them 0/0 (wrong_topic): "a\\x00b", where it came from, is no' in err
    out, again = nerstream("replay", "--dry-run", "--json", code=1)
    found = json.loads(out)
    assert found["would_send"] == [{"code": "invalid_json", "to": "articles", "letters": 1}]
    assert found["would_refuse"] == {"timestamp_refused": 1, "wrong_topic": 3}
    assert again == err
    # What the line names leaves it out.
    _, err = nerstream("replay", "--dry-run", "--from=1970-01-02", "--topic=articles")
    assert err == ""


@pytest.mark.parametrize("action", ["list", "list --counts", "show 0/0", "replay --dry-run"])
def test_a_broker_that_gives_nothing_is_not_waited_for_without_an_end(
    nerstream: Command, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    nerstream.put(original(0))
    monkeypatch.setattr(BoundedReader, "poll", lambda *_: [])
    monkeypatch.setattr(waiting_module, "_SILENT_S", 0.1)
    monkeypatch.setattr(waiting_module, "_TOLD_S", 0.0)
    _, err = nerstream(*action.split(), code=1)
    told, error = err.splitlines()
    assert told == "waiting for dead[0] at 0: its broker does not answer"
    assert error.startswith("nerstream: error: nothing has come of dead[0] at 0 for 0 s: its")


def test_a_list_is_not_waited_for_either(
    nerstream: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads twice: the marks, and then each partition."""
    nerstream.put(original(0))
    start = BoundedReader.start

    def started(self: BoundedReader, spans: dict[int, tuple[int, int]]) -> None:
        start(self, spans)
        if len(spans) == 1:
            monkeypatch.setattr(BoundedReader, "poll", lambda *_: [])

    monkeypatch.setattr(BoundedReader, "start", started)
    monkeypatch.setattr(waiting_module, "_SILENT_S", 0.1)
    _, err = nerstream("list", code=1)
    assert err.startswith("nerstream: error: nothing has come of dead[0] at 0 for 0 s: its")


# --- on a terminal


def test_a_terminal_gets_lines_of_its_width(nerstream: Command) -> None:
    nerstream.put(original(0, topic="articles-of-a-long-name-" + "x" * 60))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "consumer", "dead-letters", "list", *nerstream.flags()],
        cwd=ROOT,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "60", "TERM": "xterm"},
    )
    os.close(theirs)
    seen = read_terminal(ours)
    assert process.wait(120) == 0
    lines = seen.decode().splitlines()
    assert max(map(len, lines)) == 60
    assert lines[1].endswith("…")


# --- what can go wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nerstream dead-letters: error: the following arguments are required: ACTION"),
        (["list", "--code=x"], 'argument --code: "x" is no code; they are invalid_utf8, '),
        (["list", "--from=x"], 'argument --from: "x" is no time; write 2026-11-29T06:30'),
        (["list", "--limit=0"], 'argument --limit: "0" is not a whole number of at least 1'),
        (["list", "--topic=^["], "argument --topic: ^[ is no pattern"),
        (["list", "--topic=,"], "argument --topic: it names no topic"),
        (["list", "--letter=3"], 'argument --letter: "3" is no place; write PARTITION/OFFSET'),
        (["list", "--cods=x"], "unknown argument --cods; did you mean --code?"),
        (["list", "--text="], "argument --text: it is empty; give a value, or leave it out"),
        (["replay", "--text", " "], "argument --text: it is empty; give a value, or"),
        (["list", "--counts", "--limit=1"], "argument --limit: not allowed with argument --count"),
        (["show"], "the following arguments are required: PARTITION/OFFSET"),
        (["show", "a/b"], 'argument PARTITION/OFFSET: "a/b" is no place'),
        (["show", "0/-1"], 'argument PARTITION/OFFSET: "0/-1" is no place'),
        (["show", "0/0", "--raw", "--json"], "argument --json: not allowed with argument --raw"),
        (["replay", "--rate=0"], 'argument --rate: "0" is not a number above 0'),
        (["replay", "--to="], "argument --to: it is empty; give a value, or leave it out"),
        (["replay", "--to=a\0b"], 'argument --to: "a\\x00b" is no name of a topic; it must be'),
        (["replay", "--also-sent-to=a/b"], 'argument --also-sent-to: "a/b" is no name of a topic'),
        (["replay", "--max-attempts=0"], 'argument --max-attempts: "0" is not a whole number'),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["dead-letters", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["list", "--topic=articles-dead-letters"],
            "--topic: articles-dead-letters is the dead-letter topic itself; --topic says where",
        ),
        (
            ["list", "--from=2026-11-29", "--until=2026-11-28"],
            "--until: 2026-11-28T00:00:00.000Z is not after --from, which is 2026-11-29T00:00",
        ),
        (
            ["replay", "--to=articles-dead-letters"],
            "--to: articles-dead-letters is the dead-letter topic itself; name a topic that",
        ),
        (
            ["replay", "--also-sent-to=articles-dead-letters"],
            "--also-sent-to: articles-dead-letters is the dead-letter topic itself;",
        ),
        (
            ["replay", "--to=a", "--also-sent-to=a"],
            "--also-sent-to: a is where they go now, and none is sent twice to the same topic;",
        ),
        (["replay", "--dead-letter-topic=a b"], '--dead-letter-topic: "a b" is no name of a topic'),
    ],
)
def test_arguments_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["dead-letters", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"nerstream: error: {said}"), err


@pytest.mark.parametrize("action", ["list", "show", "replay"])
def test_no_broker(action: str) -> None:
    # In a process of its own: what the client library logs must not come on top.
    arguments = [action, *(["0/0"] if action == "show" else []), "--bootstrap-servers=127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "dead-letters", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nerstream: error: no broker answers at 127.0.0.1:1 (")
    assert done.stderr.count("\n") == 1


def test_help_does_not_wait_for_the_client_library() -> None:
    code = (
        "import sys\n"
        "from consumer import cli\n"
        "assert cli.main(['dead-letters', 'replay', '--help']) == 0\n"
        "assert 'confluent_kafka' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, timeout=120, check=True
    )


def test_each_action_has_its_settings() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    for action in (["list"], ["show", "0/0"], ["replay"]):
        found = vars(parser.parse_args(action))
        assert {"config", "bootstrap_servers", "dead_letter_topic", "kafka"} <= found.keys()
