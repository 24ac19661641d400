"""`nerstream audit` without a broker: its arguments, its parts, its progress."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from consumer import cli
from consumer.audit.audit import Role
from consumer.audit.findings import Reason, Unsaid
from consumer.audit.ranges import Range
from consumer.commands.audit import command
from consumer.commands.audit.plan import Plan
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.tools import places
from consumer.kafka.tools import ranges as reading
from consumer.kafka.tools.ranges import Taken
from tests.support.memory.audited import DEAD, OUT, Log, given, outcome_of


class Closed:
    """A client that is closed at the end."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class LogReader(Closed):
    """Reads a log in the place of the brokers; counts how often it was asked."""

    log: Log
    reads: list[Mapping[TopicPartition, tuple[int, int]]]

    def read(self, asked: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Taken]:
        self.reads.append(asked)
        done = 0
        for raw in (*self.log.inputs, *(one for _, one in self.log.outcomes)):
            start, end = asked.get(raw.position.topic_partition, (0, 0))
            if start <= raw.position.offset < end:
                done += 1
                yield Taken([(raw, True)], done=done)


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Runs the command on a log; the exit code, and what it prints."""

    def run(log: Log, *arguments: str, gone: Sequence[Unsaid] = ()) -> tuple[int, str]:
        ends = log.ranges()
        lengths = {one: end for one, (_, end) in ends.items()}
        outcomes: dict[TopicPartition, Range] = {}
        placed: list[tuple[Role, RawMessage]] = []
        for role, raw in log.outcomes:
            where = raw.position.topic_partition
            end = outcomes.get(where, Range(0, 0)).end
            placed.append((role, raw._replace(position=raw.position._replace(offset=end))))
            outcomes[where] = Range(0, end + 1)
        log.outcomes = placed
        roles = {OUT: Role.OUTPUT, DEAD: Role.DEAD_LETTERS}
        plan = Plan(ends, outcomes, roles, gone, [], frozenset(), lengths)
        LogReader.log, LogReader.reads = log, []
        monkeypatch.setattr(command, "plan_of", lambda *_: plan)
        monkeypatch.setattr(places, "Places", Closed)
        monkeypatch.setattr(reading, "RangeReader", LogReader)
        code = cli.main(["audit", *arguments])
        return code, capfdbinary.readouterr().out.decode()

    return run


def log_of(count: int = 20) -> Log:
    return Log.of([given(n, b"{" if n % 6 == 4 else b"") for n in range(count)])


def test_a_good_log_ends_with_0(audit: Any) -> None:
    code, said = audit(log_of())
    assert code == 0
    assert said.splitlines()[-1].startswith("every input has exactly one outcome, in order")


def test_a_fault_ends_with_1(audit: Any) -> None:
    log = log_of()
    del log.outcomes[3]
    code, said = audit(log)
    assert code == 1
    assert "lost: news[0]@3: it has no outcome" in said


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_doubles_are_judged_by_the_delivery(audit: Any, delivery: str) -> None:
    log = log_of()
    log.outcomes.append(log.outcomes[3])
    code, said = audit(log, "--delivery", delivery, "--json")
    assert code == int(delivery == "exactly_once")
    assert json.loads(said)["good"] is (code == 0)


def test_more_inputs_than_are_held_at_once_are_audited_in_parts(
    audit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_INPUTS", 7)
    log = log_of()
    log.outcomes.append(log.outcomes[3])
    log.outcomes.append(outcome_of(given(500)))
    log.outcomes.append((Role.DEAD_LETTERS, given(0, topic=DEAD)))
    del log.outcomes[15]
    code, said = audit(log, "--json")
    found = json.loads(said)
    assert (code, found["inputs"]) == (1, 20)
    assert [found[kind]["count"] for kind in ("lost", "doubled", "reordered")] == [1, 1, 0]
    # What is of no single part is told once.
    assert (found["invented"]["count"], found["foreign"]["count"]) == (1, 1)
    # Each part of the inputs, and all outcomes with each.
    assert len(LogReader.reads) == 6


def test_what_cannot_be_said_is_a_fault_only_under_strict(audit: Any) -> None:
    gone = [Unsaid(Reason.REMOVED, TopicPartition("news", 0), 0, 4)]
    assert audit(log_of(), gone=gone)[0] == 0
    code, said = audit(log_of(), "--strict", gone=gone)
    assert (code, "cannot be said: news[0]: offsets 0 to 3 are gone" in said) == (1, True)
    assert audit(log_of(), "--strict")[0] == 0


@pytest.mark.parametrize("is_all", [False, True])
def test_inputs_that_nobody_can_judge_are_no_good_end(audit: Any, is_all: bool) -> None:
    log = log_of()
    last, unnamed = log.outcomes[-1]
    # Any that is not there may be this one.
    kept = [] if is_all else log.outcomes[3:-1]
    log.outcomes = [*kept, (last, unnamed._replace(headers=()))]
    missing = 20 if is_all else 4
    code, said = audit(log, "--json")
    found = json.loads(said)
    assert (code, found["good"], found["cannot_be_said"]["inputs"]) == (1, False, missing)
    code, said = audit(log)
    last_line = f"of {missing} of 20 inputs nobody can say whether they had an outcome"
    if not is_all:
        last_line += "; every other input has exactly one outcome, in order, with its own bytes "
        last_line += "beside what is added"
    assert (code, said.splitlines()[-1]) == (1, last_line)
    # Asked for by name, and told all the same.
    assert audit(log, "--allow-unsaid") == (0, said)
    assert json.loads(audit(log, "--allow-unsaid", "--json")[1])["good"] is True


def test_what_may_not_be_said_does_not_allow_what_is_wrong(audit: Any) -> None:
    log = log_of()
    role, unnamed = log.outcomes[3]
    log.outcomes[3] = role, unnamed._replace(headers=())
    log.outcomes.append(log.outcomes[5])
    code, said = audit(log, "--allow-unsaid")
    assert (code, said.splitlines()[-1]) == (
        1,
        "not every input has exactly one outcome, in order, with its own bytes; "
        "of 1 of 20 inputs nobody can say whether it had an outcome",
    )


def test_no_input_is_no_fault(audit: Any) -> None:
    code, said = audit(Log([]))
    assert (code, said.splitlines()[-1]) == (0, "there was no input to audit")


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    with command._progress(200) as move:
        move(100)
        move(200)
    assert "200 of 200 offsets" in shown.getvalue()
    assert "a second" in shown.getvalue()
    monkeypatch.setattr("sys.stderr", quiet := io.StringIO())
    with command._progress(200) as move:
        move(200)
    assert quiet.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "sometimes"], '"sometimes" is no point; write earliest'),
        (["--from", "latest"], "no input comes after it"),
        (["--until", "earliest"], "no input comes before it"),
        (["--max-findings", "-1"], '"-1" is not a whole number of at least 0'),
        (["--output-topic", "a b"], "--output-topic"),
        (["--until"], "expected one argument"),
        (["--strickt"], "did you mean --strict?"),
        (["--strict", "--allow-unsaid"], "not allowed with argument"),
    ],
)
def test_wrong_arguments_end_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["audit", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_no_broker_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 0.5)
    assert cli.main(["audit", "--bootstrap-servers", "127.0.0.1:1"]) == 1
    assert "no broker answers at 127.0.0.1:1" in capsys.readouterr().err
