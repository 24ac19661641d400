"""When the load on a worker says that its window is full."""

from __future__ import annotations

import threading
from typing import Any, Self

import pytest

from consumer.bench.worker import load
from consumer.bench.worker.load import Load
from consumer.settings.schema import Settings
from tests.support.fakes import PATIENCE_S

COUNT, WINDOW = 100, 10


class Broker:
    """A topic, its writer and its reader in one; what was sent can be read at once, one by one.

    Args:
        flushed_before: the reader waits for the writer's end before it reads this one.
    """

    def __init__(self, flushed_before: int) -> None:
        self._flushed_before = flushed_before
        self._flushed = threading.Event()
        self._there = threading.Semaphore(0)
        self.read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def open(self) -> None:
        """It is."""

    def send(self, _value: bytes, _key: bytes) -> None:
        self._there.release()

    def wait(self, _seconds: float) -> None:
        """Nothing is under way."""

    def flush(self) -> None:
        self._flushed.set()

    def poll(self, _seconds: float) -> list[float]:
        if self.read == self._flushed_before:
            assert self._flushed.wait(PATIENCE_S)
        assert self._there.acquire(timeout=PATIENCE_S)
        self.read += 1
        return [0.25]


def run(monkeypatch: pytest.MonkeyPatch, broker: Broker, window: int) -> list[int]:
    """How many had come out at each mark."""

    def broker_for(*_: Any) -> Broker:
        return broker

    monkeypatch.setattr(load, "TopicWriter", broker_for)
    monkeypatch.setattr(load, "Arrivals", broker_for)
    marks: list[int] = []
    found = Load(Settings(input_topics=("in",)), [b"x"]).run(
        0.0, COUNT, window, lambda: marks.append(broker.read)
    )
    assert found.ranked == [0.25] * COUNT
    return marks


def test_it_is_full_from_the_first_tenth_until_the_last_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The last is sent when all but a window have come out, and the next look sees that.
    assert run(monkeypatch, Broker(COUNT - WINDOW), WINDOW) == [10, COUNT - WINDOW + 1]


def test_it_is_never_full_where_all_are_sent_before_the_first_tenth_comes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(monkeypatch, Broker(0), COUNT) == []
