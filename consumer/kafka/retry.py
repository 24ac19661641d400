"""Repeats a call for as long as Kafka says that this may help."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from consumer.kafka.errors import error_of

#: Seconds between two tries; the client has waited for the brokers within the call already.
_WAIT_S = 0.1

#: Longest single call, in seconds, so that signals and the deadline are looked at in between.
_CALL_S = 5.0

#: Seconds for a first call; where it fails, the caller looks for the reason.
_SHORT_S = 2.0


class OutOfTime(Exception):
    """The deadline passed while the call could still have been tried again."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


def again(
    call: Callable[[float], object],
    timeout_s: float,
    waiting: Callable[[], object] | None = None,
) -> bool:
    """Make a call until it succeeds. Returns whether the first try succeeded.

    Args:
        call: takes the seconds that it may block.
        timeout_s: seconds after which it is not tried again.
        waiting: called after each try that failed; with it the first try is a short one.

    Raises:
        OutOfTime: no success in time; the call may have taken effect all the same.
        KafkaException: an error against which another try does not help.
    """
    deadline = time.monotonic() + timeout_s
    first = True
    while True:
        left_s = deadline - time.monotonic()
        try:
            most_s = _SHORT_S if first and waiting is not None else _CALL_S
            call(max(min(left_s, most_s), _WAIT_S))
        except KafkaException as failed:
            error = error_of(failed)
            if not error.retriable() or error.fatal():
                raise
            if time.monotonic() + _WAIT_S >= deadline:
                raise OutOfTime(error) from failed
            if waiting is not None:
                waiting()
            time.sleep(_WAIT_S)
            first = False
        else:
            return first
