"""Whatever a message, a file, a registry or a person has named: no output takes it for a command.

Each command gets the plant wherever a stranger's text can stand, and all that it writes for a
person or as a log is searched. The log itself is in `tests/telemetry/test_logs.py`.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from consumer import cli
from consumer.audit.findings import Findings, Reason, Unsaid
from consumer.audit.ranges import Range
from consumer.commands.audit.report import as_text
from consumer.commands.doctor.report import Report
from consumer.contracts.errors import NerstreamError
from consumer.contracts.messages import TopicPartition
from consumer.doctor.finding import red
from consumer.kafka.registry import ConfluentRegistry
from consumer.kafka.tools.embedded import EmbeddedBroker
from consumer.terminal import say, tell_failure
from tests.integration.rigs import helpers
from tests.support.memory.letters import letter, original, record
from tests.support.models.tiny_models import LABELS, SENTENCES, tiny_folder
from tests.support.planted import AS_NAME, PLANT, WITH_NUL, harm_in

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", str(tiny_folder()))
    monkeypatch.setenv("NERSTREAM_DEVICE", "cpu")
    monkeypatch.setenv("NERSTREAM_DTYPE", "float32")
    monkeypatch.setenv("NERSTREAM_THREADS", "1")


def searched(capture: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What was written, if it does nothing."""
    out, err = capture.readouterr()
    assert harm_in(out) == []
    assert harm_in(err) == []
    return out, err


# --- the one way out


def ways_past(source: str) -> list[str]:
    """Where a module writes past `consumer.terminal` and `consumer.console`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "Console", "sys.stdout.write", "sys.stderr.write"):
                found.append(f"line {node.lineno}: {called}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "sys.stdout.buffer",
            "sys.stderr.buffer",
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def test_every_module_writes_by_the_same_two() -> None:
    allowed = {
        "consumer/terminal.py": 3,
        # The bytes of a dead letter, for a file or a program; refused on a terminal.
        "consumer/commands/dead_letters/showing.py": 1,
        # What a process of its own tells the one that started it, through a pipe.
        "consumer/tagging/model/guard/trial.py": 1,
        # Explanations, which are safe when they are made.
        "consumer/commands/tag/command.py": 1,
    }
    found = {
        str(path.relative_to(ROOT)): ways
        for path in sorted((ROOT / "consumer").rglob("*.py"))
        if (ways := ways_past(path.read_text(encoding="utf-8")))
    }
    assert {name: len(ways) for name, ways in found.items()} == allowed, found


def test_a_way_past_is_found() -> None:
    source = "import sys\nprint(1)\nsys.stderr.write('x')\nwrite = sys.stdout.buffer.write\n"
    assert ways_past(source + "Console(stderr=True)") == [
        "line 2: print",
        "line 3: sys.stderr.write",
        "line 5: Console",
        "line 4: sys.stdout.buffer",
    ]


# --- articles


@pytest.fixture
def articles(tmp_path: Path) -> str:
    """Articles with the plant as id, name of a field, text, and what is refused."""
    path = tmp_path / f"{AS_NAME[:80]}.jsonl"
    text = f"{SENTENCES[0]} {WITH_NUL} {SENTENCES[1]}"
    lines = [
        {"id": WITH_NUL, "title": text, "body": WITH_NUL, WITH_NUL: WITH_NUL},
        {"id": WITH_NUL, "body": [WITH_NUL], "language": WITH_NUL},
        {"id": WITH_NUL},
        {WITH_NUL: 1},
        {"id": [WITH_NUL], "body": text},
        [WITH_NUL],
    ]
    written = [json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") for line in lines]
    path.write_bytes(b"\n".join([*written, PLANT.replace("\n", " ").encode(), b""]))
    return str(path)


def test_tag_pretty(articles: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tag", articles, "--pretty"]) == 1
    out, err = searched(capfd)
    assert out.count("FORGED") >= 3
    assert "FORGED" in err
    assert all(".jsonl, line " in line for line in err.splitlines())


@pytest.mark.parametrize("more", [[], ["--json"], ["--text-fields", "*", "--no-text", "pass"]])
def test_tag_explain(more: list[str], articles: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tag", articles, "--explain", *more]) == 1
    out, _ = searched(capfd)
    assert "FORGED" in out


def test_tag_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / AS_NAME
    path.write_bytes(b"\xff\n")
    assert cli.main(["tag", str(path)]) == 1
    assert "FORGED" in searched(capfd)[1]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_compare(more: list[str], articles: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", articles, "--dtypes", "bfloat16", *more]) == 0
    assert "FORGED" in searched(capfd)[1]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_evaluate(more: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / AS_NAME
    words = [*SENTENCES[0].split(), "".join(WITH_NUL.split())]
    kind = LABELS[-1][2:]
    path.write_text("\n".join(f"{word} -X- O I-{kind}" for word in words) + "\n", "utf-8")
    assert cli.main(["evaluate", str(path), *more]) == 0
    assert "FORGED" in searched(capfd)[0]


# --- settings, files and what answers


@pytest.mark.parametrize(
    "arguments",
    [
        ["tag", f"/none/{AS_NAME}"],
        ["tag", "--model", f"/none/{PLANT}", "-"],
        ["tag", "--model", PLANT, "-"],
        ["tag", "--text-fields", PLANT, "-"],
        ["tag", "--text-fields", f"/{PLANT}[", "-"],
        ["tag", "--dtype", PLANT, "-"],
        ["tag", "--config", f"/none/{PLANT}", "-"],
        ["evaluate", f"/none/{AS_NAME}"],
        ["run", "--input-topics", PLANT, "--output-topic", PLANT],
        ["run", "--kafka", f"{PLANT}=1"],
        ["run", "--kafka", f"linger.ms={PLANT}"],
        ["run", "--from", PLANT],
        ["produce", f"/none/{AS_NAME}", "--topic", PLANT],
        ["dead-letters", "show", PLANT],
        ["audit", "--outcomes-from", PLANT],
        ["demo", f"/none/{AS_NAME}"],
        ["bench", "worker", "--articles", f"/none/{AS_NAME}"],
    ],
    ids=lambda arguments: " ".join(arguments).replace(PLANT, "PLANT").replace(AS_NAME, "NAME"),
)
def test_wrong_settings(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) in (1, 2)
    out, err = searched(capfd)
    assert out == ""
    assert "FORGED" in err


def test_wrong_files_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"{AS_NAME[:80]}.toml"
    path.write_text(f"{json.dumps(PLANT)} = {json.dumps(PLANT)}\nbatch_tokens = 'x'\n", "utf-8")
    monkeypatch.setenv("NERSTREAM_BATCH_ARTICLES", PLANT)
    assert cli.main(["run", "--config", str(path)]) == 2
    _, err = searched(capfd)
    lines = err.splitlines()
    assert err.count("FORGED") >= 5
    assert all(line.startswith("nerstream: error: ") for line in lines)


@contextmanager
def server_that_says(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "is_json"),
    [(200, False), (401, True), (404, False), (422, True), (422, False), (503, True)],
)
def test_what_a_registry_says(
    status: int, is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.dumps({"error_code": 42201, "message": WITH_NUL}) if is_json else WITH_NUL
    with server_that_says(status, said.encode("utf-8", "replace")) as url:
        registry = ConfluentRegistry({"url": url})
        try:
            with pytest.raises(NerstreamError) as failed:
                registry.schema(1)
        finally:
            registry.close()
    tell_failure(failed.value)
    assert searched(capsys)[1].count("\n") == 1


# --- Kafka


def test_dead_letters(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topics("dead", "articles")
        where = [f"--bootstrap-servers={broker.bootstrap_servers}", "--dead-letter-topic=dead"]
        raw = original(
            0,
            topic=WITH_NUL.replace("\x00", ""),
            key=WITH_NUL.encode("utf-8", "replace") + b"\xff",
            headers=((PLANT, WITH_NUL.encode() + b"\xff"), ("traceparent", PLANT.encode())),
            value=WITH_NUL.encode() + b"\xff\n",
        )
        helpers.produce(broker.bootstrap_servers, "dead", [record(letter(raw, reason=WITH_NUL))])
        for action in (
            ["list"],
            ["list", "--json"],
            ["list", "--counts"],
            ["show", "0/0"],
            ["show", "0/0", "--json"],
            ["replay", "--dry-run"],
            ["replay", "--to", PLANT],
        ):
            code = cli.main(["dead-letters", *action, *where])
            out, err = searched(capfd)
            # A name that no topic can have is a wrong argument.
            assert code in ((2,) if "--to" in action else (0, 1)), (action, err)
            assert "FORGED" in out + err, action


def test_a_topic_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        where = f"--bootstrap-servers={broker.bootstrap_servers}"
        assert cli.main(["dead-letters", "list", where, f"--dead-letter-topic={PLANT}"]) in (1, 2)
        assert "FORGED" in searched(capfd)[1]


def test_audit(capsys: pytest.CaptureFixture[str]) -> None:
    partition = TopicPartition(WITH_NUL, 0)
    part = {partition: Range(0, 3)}
    found = Findings(20, unsaid=[Unsaid(Reason.REMOVED, partition, 0, 5)])
    for line in as_text(found, part, frozenset()):
        say(line)
    assert "FORGED" in searched(capsys)[0]


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        report = Report(as_json=as_json)
        report.show([("brokers", "bootstrap", red(WITH_NUL, WITH_NUL))])
        report.end()
    assert "FORGED" in searched(capsys)[0]
