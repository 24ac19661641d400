from __future__ import annotations

import io
import json
import os
import sys

import pytest

from consumer.contracts.errors import NerstreamError, SettingsError
from consumer.terminal import say, say_json, tell, tell_failure, write_message
from tests.support.planted import WITH_NUL, harm_in
from tests.support.processes.terminal import read_terminal


def test_a_line_stays_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(WITH_NUL)
    say()
    tell(WITH_NUL)
    out, err = capsys.readouterr()
    assert out.count("\n") == 2
    assert err.count("\n") == 1
    assert harm_in(out + err) == []
    assert "FORGED" in out


def test_an_error_is_a_line_and_wrong_settings_are_one_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_failure(NerstreamError(f"{WITH_NUL} is no topic"))
    tell_failure(NerstreamError())
    also = [SettingsError("b", WITH_NUL, "leave it"), SettingsError("c", "is wrong", "leave it")]
    tell_failure(SettingsError("a", "is wrong", WITH_NUL, also))
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert harm_in(err) == []
    assert all(line.startswith("nerstream: error: ") for line in lines)
    assert lines[1] == "nerstream: error: NerstreamError"
    assert [line.split(": ")[2] for line in lines[2:]] == ["a", "b", "c"]
    assert len(lines) == 5


def test_json_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": WITH_NUL})
    say_json({"a": WITH_NUL, "b": [1]}, indented=True)
    out = capsys.readouterr().out
    assert harm_in(out) == []
    line, _, rest = out.partition("\n")
    assert json.loads(line) == {"a": WITH_NUL}
    assert json.loads(rest) == {"a": WITH_NUL, "b": [1]}


def test_json_for_a_stream_of_another_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    say_json({"a": "Łódź \U0001f389\x9b"})
    stream.flush()
    assert json.loads(out.getvalue()) == {"a": "Łódź \U0001f389\x9b"}


def test_a_message_goes_as_it_is_to_a_program_and_harmless_to_a_terminal() -> None:
    message = json.dumps({"a": WITH_NUL}, ensure_ascii=False).encode()
    out = io.BytesIO()
    stream = io.TextIOWrapper(out)
    write_message(message, stream)
    assert out.getvalue() == message + b"\n"
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        write_message(message, terminal)
    shown = read_terminal(ours)
    assert harm_in(shown, styled=True) == []
    assert json.loads(shown) == {"a": WITH_NUL}
