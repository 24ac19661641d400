from __future__ import annotations

import argparse
import time

import pytest

from consumer.commands.times import moment, written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-29", "2026-11-29T00:00:00.000Z"),
        ("2026-11-29T06:30", "2026-11-29T06:30:00.000Z"),
        ("2026-11-29T06:30:15.250", "2026-11-29T06:30:15.250Z"),
        ("2026-11-29T06:30+01:00", "2026-11-29T05:30:00.000Z"),
        ("2026-11-29T06:30:00Z", "2026-11-29T06:30:00.000Z"),
        ("1795932000123", "2026-11-29T06:00:00.123Z"),
    ],
)
def test_a_moment(text: str, shown: str) -> None:
    assert written(moment(text)) == shown


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7_200), ("1d", 86_400)]
)
def test_so_long_ago(text: str, seconds: int) -> None:
    before = time.time()
    found = moment(text) / 1000 + seconds
    assert before - 1 <= found <= time.time() + 1


@pytest.mark.parametrize("text", ["99999d", "999999999d", "0001-01-01"])
def test_what_is_before_the_epoch_is_a_number_that_kafka_takes(text: str) -> None:
    assert -(2**63) <= moment(text) < 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "5",
        "5w",
        "-5m",
        "2026-11-29T",
        "9" * 40,
        "٣m",
        "99999999999999d",
        "9" * 400 + "d",
        "9" * 5_000 + "s",
        "1700000000",
    ],
)
def test_no_moment(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no time; write 2026-11-29T06:30"):
        moment(text)


def test_what_is_written_of_odd_timestamps() -> None:
    assert written(None) == ""
    assert written(0) == "1970-01-01T00:00:00.000Z"
    assert written(-1) == "1969-12-31T23:59:59.999Z"
    assert written(2**62) == f"{2**62} ms"
