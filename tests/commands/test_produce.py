from __future__ import annotations

import argparse
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer import cli
from consumer.commands import produce
from consumer.commands.produce import Line, lines
from consumer.contracts.errors import SettingsError
from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.integration.rigs.helpers import Record, read_all
from tests.support.processes.terminal import read_terminal

ROOT = Path(__file__).parents[2]
GOOD = b'{"id": "a", "title": "x"}\n\n  \n{"id": 7, "n": 1}\r\nbroken\n{"title": "no id"}'


@pytest.fixture
def broker() -> Iterator[str]:
    with EmbeddedBroker() as embedded:
        yield embedded.bootstrap_servers


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(GOOD)
    return path


def read(broker: str, topic: str = "t") -> list[tuple[bytes | None, bytes | None]]:
    records: list[Record] = read_all(broker, topic, isolation="read_uncommitted")
    return sorted(((one.key, one.value) for one in records), key=str)


def start(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "consumer", "produce", *arguments]
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, cwd=ROOT, stderr=subprocess.PIPE, preexec_fn=_hear_interrupts, **options
    )


def _hear_interrupts() -> None:
    # A shell lets what it starts in the background ignore them, these tests and so their children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# --- lines


def test_lines_are_numbered_and_know_where_they_end() -> None:
    assert list(lines(io.BytesIO(GOOD))) == [
        Line(1, b'{"id": "a", "title": "x"}', 26),
        Line(4, b'{"id": 7, "n": 1}', 49),
        Line(5, b"broken", 56),
        Line(6, b'{"title": "no id"}', 74),
    ]


def test_the_mark_at_the_start_of_a_file_is_no_part_of_a_message() -> None:
    found = [line.value for line in lines(io.BytesIO(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n"))]
    assert found == [b"{}", b"\xef\xbb\xbf{}"]
    assert list(lines(io.BytesIO(b"\xef\xbb\xbf"))) == []


def test_a_line_longer_than_a_message_can_be_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(produce, "MAX_LINE_BYTES", 10)
    stream = io.BytesIO(b"12345678\n123456789\n" + b"x" * 1_000)
    read_lines = lines(stream)
    assert next(read_lines).value == b"12345678"
    assert next(read_lines).value == b"123456789"
    with pytest.raises(SettingsError, match="line 3 is longer than 10 bytes"):
        next(read_lines)
    assert stream.tell() == 30


# --- the command


def test_a_file_goes_to_the_topic_with_the_id_as_key(
    broker: str, articles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["produce", str(articles), "--topic=t", f"--bootstrap-servers={broker}", "--json"]
    assert cli.main(arguments) == 0
    assert read(broker) == [
        (None, b"broken"),
        (None, b'{"title": "no id"}'),
        (b"7", b'{"id": 7, "n": 1}'),
        (b"a", b'{"id": "a", "title": "x"}'),
    ]
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert isinstance(summary.pop("seconds"), float)
    assert summary == {"produced": 4, "topic": "t"}
    assert err.startswith("produced 4 messages to t in ")
    assert err.count("\n") == 1
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("field", "keys"),
    [
        ("none", [None] * 8),
        ("name", ["é".encode(), b"12", *[None] * 6]),
    ],
)
def test_keys_come_from_the_field_that_is_named(
    broker: str, tmp_path: Path, field: str, keys: list[bytes | None]
) -> None:
    path = tmp_path / "a.jsonl"
    values = ["é", 12, True, None, 1.5, "", {"a": 1}]
    documents = [{"id": "i", "name": value} for value in values]
    path.write_text("\n".join([*map(json.dumps, documents), '["name"]']))
    assert (
        cli.main(
            ["produce", str(path), "--topic=t", "--bootstrap-servers", broker, "--key-field", field]
        )
        == 0
    )
    found = [key for key, _ in read(broker)]
    assert sorted(found, key=str) == sorted(keys, key=str)


def test_repeat_sends_the_file_so_many_times(
    broker: str, articles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(
            ["produce", str(articles), "--topic=t", f"--bootstrap-servers={broker}", "--repeat=50"]
        )
        == 0
    )
    assert len(read(broker)) == 200
    out, err = capsys.readouterr()
    assert out == ""
    assert "produced 200 messages" in err


def test_an_empty_file_is_no_fault(
    broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"\n\n")
    arguments = ["produce", str(path), "--topic=t", "--bootstrap-servers", broker, "--repeat=3"]
    assert cli.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["produced"] == 0


def test_standard_input(broker: str) -> None:
    process = start("-", "--topic=t", f"--bootstrap-servers={broker}", stdin=subprocess.PIPE)
    _, err = process.communicate(b'{"id": "s"}\n', timeout=60)
    assert process.returncode == 0
    assert err.startswith(b"produced 1 message to t in ")
    assert read(broker) == [(b"s", b'{"id": "s"}')]


def test_a_rate_is_kept(broker: str, articles: Path) -> None:
    started = time.monotonic()
    arguments = ["produce", str(articles), "--topic=t", f"--bootstrap-servers={broker}"]
    assert cli.main([*arguments, "--repeat=5", "--rate=40"]) == 0
    # Twenty messages: the last leaves 19/40 s after the first, never sooner.
    assert time.monotonic() - started >= 19 / 40


def test_an_interrupt_ends_it_at_once_with_130(broker: str, articles: Path) -> None:
    process = start(
        str(articles), "--topic=t", f"--bootstrap-servers={broker}", "--rate=1", "--repeat=1000"
    )
    deadline = time.monotonic() + 60
    while not _has_messages(broker) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b""), err.decode()


def _has_messages(broker: str) -> bool:
    return bool(read(broker))


def test_a_terminal_sees_a_bar(broker: str, articles: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "consumer", "produce", str(articles), "--topic=t"]
    process = subprocess.Popen(
        [*command, f"--bootstrap-servers={broker}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = read_terminal(ours)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"")
    assert b"4 messages" in seen
    assert "━".encode() in seen
    assert seen.rstrip().splitlines()[-1].endswith(b" s")


# --- what can go wrong


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["produce", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_no_broker(articles: Path) -> None:
    # In a process of its own: what the client library logs must not come on top.
    process = start(str(articles), "--topic=t", "--bootstrap-servers=127.0.0.1:1")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"nerstream: error: no broker answers at 127.0.0.1:1 (")
    assert b"refused" in err
    assert err.count(b"\n") == 1


def test_a_message_larger_than_the_client_takes(
    broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "big.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + b"x" * 2_000_000)
    code, err = fails(capsys, str(path), "--topic=t", f"--bootstrap-servers={broker}")
    assert code == 1
    assert err == (
        f"nerstream: error: {path}, line 2: the message of 2,000,000 bytes is larger than"
        " message.max.bytes; raise it with --kafka message.max.bytes=N, and on the topic\n"
    )
    arguments = ["produce", str(path), "--topic=t", f"--bootstrap-servers={broker}"]
    assert cli.main([*arguments, "--kafka=message.max.bytes=3000000"]) == 0


def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remedy = "it must be a file of JSON lines, or - for standard input"
    assert fails(capsys, str(tmp_path / "no"), "--topic=t") == (
        2,
        f"nerstream: error: FILE: {tmp_path}/no cannot be read (No such file or directory);"
        f" {remedy}\n",
    )
    assert fails(capsys, str(tmp_path), "--topic=t") == (
        2,
        f"nerstream: error: FILE: {tmp_path} cannot be read (Is a directory); {remedy}\n",
    )


def test_a_pipe_cannot_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        assert fails(capsys, f"/dev/fd/{ours}", "--topic=t", "--repeat=2") == (
            2,
            f"nerstream: error: --repeat: /dev/fd/{ours} can be read only once;"
            " name a file on disk\n",
        )
    finally:
        os.close(ours)


def test_a_property_that_does_not_exist(articles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, err = fails(capsys, str(articles), "--topic=t", "--kafka=no.such=1")
    assert code == 2
    assert err.startswith('nerstream: error: --kafka no.such: No such configuration property: "no.')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repeat=0"], 'argument --repeat: "0" is not a whole number of at least 1'),
        (["--repeat=x"], 'argument --repeat: "x" is not a whole number of at least 1'),
        (["--rate=0"], 'argument --rate: "0" is not a number above 0'),
        (["--rate=inf"], 'argument --rate: "inf" is not a number above 0'),
        (["--rate=nan"], 'argument --rate: "nan" is not a number above 0'),
        (["--batch-tokens=3"], "unknown argument --batch-tokens"),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, err = fails(capsys, "x.jsonl", "--topic=t", *arguments)
    assert code == 2
    assert err.splitlines()[-1] == f"nerstream produce: error: {said}"


def test_the_topic_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = fails(capsys, "x.jsonl")
    assert code == 2
    assert "required: --topic" in err


def test_a_wrong_variable_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NERSTREAM_BOOTSTRAP_SERVERS", "")
    assert fails(capsys, "x.jsonl", "--topic=t") == (
        2,
        "nerstream: error: NERSTREAM_BOOTSTRAP_SERVERS: is empty; it must not be\n",
    )


def test_the_parser_offers_the_settings_that_it_uses() -> None:
    parser = argparse.ArgumentParser()
    produce.add_arguments(parser)
    arguments = parser.parse_args(["f", "--topic", "t"])
    assert vars(arguments) == {
        "file": "f",
        "topic": "t",
        "key_field": "id",
        "repeat": 1,
        "rate": None,
        "json": False,
        "config": None,
        "bootstrap_servers": None,
        "kafka": None,
        "settings_taken": {"bootstrap_servers", "kafka"},
    }
