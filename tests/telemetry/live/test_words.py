"""Numbers as the sentence of the state has them."""

from __future__ import annotations

import pytest

from consumer.telemetry.live.words import duration, rate, several


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 ms"),
        (0.074, "74 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_190, "2 h"),
        (7_500, "2 h 5 min"),
        (200_000, "2 days"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_rates_and_counts() -> None:
    assert [rate(number) for number in (0, 0.01, 0.4, 1.0, 9.97, 1250.4)] == [
        "0",
        "less than 0.1",
        "0.4",
        "1",
        "10",
        "1,250",
    ]
    assert several(1, "message") == "1 message"
    assert several(12_300, "message") == "12,300 messages"
    assert several(2, "message waits", "messages wait") == "2 messages wait"
