from __future__ import annotations

import json

import pytest

from consumer.commands.doctor.report import Report
from consumer.doctor.finding import Finding, green, grey, red, yellow

FINDINGS: list[tuple[str, str, Finding]] = [
    ("brokers", "bootstrap", green("kafka:9092 answers")),
    ("brokers", "clock", grey("it does not show")),
    ("topics", "output", red("a long text " * 20, "do this " * 20)),
    ("topics", "replication", yellow("one \x1b[31mreplica", "three")),
]


def test_lines_for_a_person_fit_and_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(as_json=False)
    report.show(FINDINGS)
    assert report.end() == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out
    assert lines[:3] == [
        "brokers",
        "  ok    bootstrap         kafka:9092 answers",
        "  ?     clock             it does not show",
    ]
    assert lines[4:6] == ["topics", "  FAIL  output            " + "a long text " * 4 + "a long"]
    assert "                          -> do this do this" in out
    assert lines[-2] == "1 ok, 1 to look at, 1 not known, 1 failed"


def test_json_is_a_line_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(as_json=True)
    report.show(FINDINGS[:2])
    assert report.end() == 0
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == [
        {
            "room": "brokers",
            "check": "bootstrap",
            "status": "green",
            "text": "kafka:9092 answers",
            "remedy": None,
        },
        {
            "room": "brokers",
            "check": "clock",
            "status": "grey",
            "text": "it does not show",
            "remedy": None,
        },
    ]
    assert captured.err.startswith("1 ok, 1 not known\n")


def test_warnings_do_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(as_json=False)
    report.show([FINDINGS[3]])
    assert report.end() == 0
    assert "Nothing that was looked at" in capsys.readouterr().out
