from __future__ import annotations

import pytest

from consumer.contracts.words import counted
from consumer.doctor.finding import joined, size, span


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (50, "50 ms"),
        (1_000, "1 s"),
        (45_000, "45 s"),
        (90_000, "90 s"),
        (300_000, "5 min"),
        (3_600_000, "60 min"),
        (7_200_000, "2 h"),
        (7 * 86_400_000, "7 d"),
    ],
)
def test_spans(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text


def test_sizes() -> None:
    assert [size(99), size(1_048_588), size(16 * 1024**2)] == ["99 bytes", "1 MiB", "16 MiB"]


def test_numbers_and_lists() -> None:
    assert [counted(1, "worker"), counted(2_000, "worker")] == ["1 worker", "2,000 workers"]
    assert joined(list("abc"), 2) == "a, b and 1 more"
    assert joined(list("ab"), 2) == "a, b"
