"""Feeds numbered messages to the input topic at an even rate while faults happen."""

from __future__ import annotations

import threading
import time
from functools import partial

from confluent_kafka import KafkaError, Message

from tests.faults.wires import JSON_WIRE, Wire
from tests.integration import helpers

#: Seconds without an acknowledgement after which none is on its way.
_HELD_UP_S = 0.5


class Feeder:
    """Writes messages 0, 1, 2 … until it is stopped, and at least so many.

    Its producer is idempotent and goes straight to the broker, so that no fault of the run
    doubles an input.

    Args:
        rate: messages a second.
        at_least: messages that are written however early `stop` comes.
        wire: how they are spelled.
    """

    def __init__(
        self, bootstrap: str, topic: str, rate: float, at_least: int, wire: Wire | None = None
    ) -> None:
        self._wire = wire or JSON_WIRE
        self._topic = topic
        self._interval_s = 1.0 / rate
        self._at_least = at_least
        self._stop = threading.Event()
        self._failure: str | None = None
        self._producer = helpers.producer(
            bootstrap,
            enable_idempotence=True,
            delivery_timeout_ms=240_000,
            # A request to a broker that stood still is not answered; the next one is due before
            # the row has waited long enough.
            socket_timeout_ms=10_000,
            # Nor may it be late itself where recovery is measured.
            reconnect_backoff_max_ms=500,
            # Few requests under way: while a partition goes from one leader to another, the
            # client's threads turn round without a pause until all of its are answered, which on
            # two cores starves the brokers that they wait for.
            linger_ms=50,
        )
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        #: Messages handed to the client so far.
        self.count = 0
        #: When message n was handed to the client, by `time.monotonic`.
        self.fed_at: list[float] = []
        #: (partition, offset) of each message that the broker has.
        self.positions: dict[int, tuple[int, int]] = {}

    def start(self) -> None:
        self._thread.start()

    def is_held_up(self) -> bool:
        """Whether no message has been acknowledged for a while; looks for so long."""
        before = len(self.positions)
        time.sleep(_HELD_UP_S)
        return len(self.positions) == before

    def finish(self) -> int:
        """Stop and wait until the broker has all; how many there are."""
        self._stop.set()
        self._thread.join(300)
        assert not self._thread.is_alive(), "the feeder hangs"
        left = self._producer.flush(120)
        assert self._failure is None, f"an input could not be written: {self._failure}"
        assert left == 0, f"{left} inputs are not acknowledged"
        assert len(self.positions) == self.count
        return self.count

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.is_set() or self.count < self._at_least:
            behind = (time.monotonic() - begun) / self._interval_s - self.count
            if behind < 1:
                self._producer.poll(self._interval_s)
                continue
            number = self.count
            helpers.put(
                self._producer,
                self._topic,
                [self._wire.record(number)],
                partial(self._delivered, number),
            )
            self.fed_at.append(time.monotonic())
            self.count += 1

    def _delivered(self, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error.str()
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.positions[number] = (partition, offset)
