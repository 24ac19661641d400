"""What stands on standard error, line by line."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from consumer.telemetry.logs import adopt_library_loggers, configure_logging
from tests.support.planted import WITH_NUL, harm_in


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leaves logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(format: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(format, level, stream)
    return stream


def test_each_line_of_one_of_several_workers_has_its_number() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream, worker=3)
    structlog.get_logger("consumer.worker").info("started")
    logging.getLogger("library").warning("also")
    assert [line["worker"] for line in lines(stream)] == [3, 3]
    configure_logging("json", "info", stream)
    structlog.get_logger("consumer.worker").info("alone")
    assert "worker" not in lines(stream)[2]


def test_a_line_is_one_json_object() -> None:
    stream = configured()
    structlog.get_logger("consumer.worker").info("started", partitions=3, topic="статьи")
    (line,) = lines(stream)
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    assert line == {
        "level": "info",
        "logger": "consumer.worker",
        "event": "started",
        "partitions": 3,
        "topic": "статьи",
    }
    assert list(lines(stream)[0])[:4] == ["timestamp", "level", "logger", "event"]


def test_the_libraries_lines_look_the_same() -> None:
    stream = configured()
    logging.getLogger("confluent_kafka").warning("broker %s is down", "b1", extra={"code": -195})
    (line,) = lines(stream)
    del line["timestamp"]
    assert line == {
        "level": "warning",
        "logger": "confluent_kafka",
        "event": "broker b1 is down",
        "code": -195,
    }


@pytest.mark.parametrize("ours", [True, False])
def test_an_exception_is_one_string(ours: bool) -> None:
    stream = configured()
    secret = "hunter2"
    try:
        raise ValueError(f"bad {len(secret)}")
    except ValueError:
        if ours:
            structlog.get_logger("x").exception("it failed")
        else:
            logging.getLogger("x").exception("it failed")
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert line["event"] == "it failed"
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: bad 7")
    assert secret not in stream.getvalue()


def test_a_line_break_does_not_break_the_line() -> None:
    stream = configured()
    structlog.get_logger("x").info("one\ntwo", text="three\nfour")
    assert [(line["event"], line["text"]) for line in lines(stream)] == [
        ("one\ntwo", "three\nfour")
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**70, 2**70),
        ("\ud800", "\ud800"),
        (b"bytes", "b'bytes'"),
        (float("nan"), None),
        ({1: "one"}, {"1": "one"}),
    ],
)
def test_any_field_can_be_written(value: object, shown: object) -> None:
    stream = configured()
    structlog.get_logger("x").info("odd", value=value)
    assert lines(stream)[0]["value"] == shown


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_holds_for_all(level: str, expected: list[str]) -> None:
    stream = configured(level=level)
    for logger in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        for name in ("debug", "info", "warning", "error"):
            getattr(logger, name)("event")
    assert [line["level"] for line in lines(stream)] == expected * 2


def test_requests_of_libraries_are_detail() -> None:
    stream = configured(level="info")
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    assert stream.getvalue() == ""
    stream = configured(level="debug")
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    assert lines(stream)[0]["logger"] == "httpx"


def test_auto_asks_the_stream() -> None:
    terminal = Terminal()
    configure_logging("auto", "info", terminal)
    structlog.get_logger("x").info("hello", n=1)
    assert "\x1b[" in terminal.getvalue()
    assert "hello" in terminal.getvalue()
    piped = configured("auto")
    structlog.get_logger("x").info("hello", n=1)
    assert lines(piped)[0]["n"] == 1


def test_console_without_a_terminal_has_no_colours() -> None:
    stream = configured("console")
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger("x").exception("it failed", topic="articles")
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "topic=articles" in text
    assert text.rstrip().endswith("ValueError: bad")


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "info")
    structlog.get_logger("x").info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "hello"


def test_a_second_call_replaces_the_first() -> None:
    first = configured()
    logger = structlog.get_logger("x")
    logger.info("one")
    second = configured()
    logger.info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_warnings_are_logged() -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old option", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "DeprecationWarning: old option" in line["event"]
    assert not line["event"].endswith("\n")


def test_a_library_with_its_own_handler_is_adopted(request: pytest.FixtureRequest) -> None:
    stream, own = configured(), io.StringIO()
    library = logging.getLogger("transformers")
    # Whoever has loaded a model in this process before may have set the level.
    before = library.level
    library.setLevel(logging.WARNING)
    request.addfinalizer(lambda: library.setLevel(before))
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    adopt_library_loggers()
    logging.getLogger("transformers.modeling_utils").warning("weights are new")
    assert own.getvalue() == ""
    assert [line["event"] for line in lines(stream)] == ["weights are new"]


def plant_everywhere() -> None:
    """One line of ours, one of a library, one with a traceback; the plant in every part."""
    log = structlog.get_logger(WITH_NUL)
    log.info(WITH_NUL, **{WITH_NUL: WITH_NUL}, listed=[WITH_NUL], mapped={WITH_NUL: WITH_NUL})
    logging.getLogger(WITH_NUL).warning("library: %s", WITH_NUL, extra={"more": WITH_NUL})
    try:
        raise ValueError(WITH_NUL)
    except ValueError:
        log.exception("failed", error=WITH_NUL)


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("is_terminal", [False, True])
def test_nobody_forges_a_line(format: str, is_terminal: bool) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]
    configure_logging(format, "debug", stream)
    plant_everywhere()
    text = stream.getvalue()
    assert harm_in(text, styled=is_terminal and format == "console") == []
    assert text.count("FORGED") > 30
    if format == "json":
        assert [line["event"] for line in lines(stream)] == [
            WITH_NUL,
            f"library: {WITH_NUL}",
            "failed",
        ]
        assert lines(stream)[0][WITH_NUL] == WITH_NUL
    else:
        begun = [line for line in text.splitlines() if line and not line.startswith("    ")]
        assert len(begun) == 3
        assert ("\x1b[" in text) is is_terminal
