"""The same call again, while that may help."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.kafka.retry import OutOfTime, again


class Calls:
    """A call that fails with each of these errors in turn, then succeeds."""

    def __init__(self, *failures: KafkaError) -> None:
        self.failures = list(failures)
        self.waits: list[float] = []

    def __call__(self, left_s: float) -> None:
        self.waits.append(left_s)
        if self.failures:
            raise KafkaException(self.failures.pop(0))


def retriable() -> KafkaError:
    return KafkaError(KafkaError._TIMED_OUT, "not yet", retriable=True)


def test_success_says_whether_it_was_smooth() -> None:
    assert again(Calls(), 10) is True
    rough = Calls(retriable(), retriable())
    assert again(rough, 10) is False
    assert len(rough.waits) == 3
    assert all(0 < wait <= 10 for wait in rough.waits)


def test_an_error_against_which_nothing_helps_is_raised_at_once() -> None:
    for hopeless in (
        KafkaError(KafkaError._FENCED, "fenced", fatal=True),
        KafkaError(KafkaError._STATE, "abort", txn_requires_abort=True),
        KafkaError(KafkaError._FENCED, "fenced", fatal=True, retriable=True),
    ):
        calls = Calls(hopeless, retriable())
        with pytest.raises(KafkaException) as raised:
            again(calls, 10)
        assert raised.value.args[0] is hopeless
        assert len(calls.waits) == 1


def test_time_runs_out() -> None:
    with pytest.raises(OutOfTime, match="not yet"):
        again(Calls(*(retriable() for _ in range(1_000))), 0.3)


def test_who_waits_is_called_after_each_try_in_vain_the_first_of_which_is_short() -> None:
    calls = Calls(retriable(), retriable())
    waited: list[int] = []
    assert again(calls, 10, lambda: waited.append(len(calls.waits))) is False
    assert waited == [1, 2]
    assert calls.waits[0] == 2 < calls.waits[1]
    smooth = Calls()
    assert again(smooth, 10, lambda: waited.append(-1)) is True
    assert waited == [1, 2]
