"""Feeds numbered messages to the input topics at an even rate while faults happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, Message

from consumer.contracts.messages import Position, TopicPartition
from tests.faults.feeding.feed import Feed
from tests.integration.rigs import helpers

#: Longer than a broker is away.
DELIVERY_TIMEOUT_MS = 240_000

#: Seconds without an acknowledgement after which none is on its way.
_HELD_UP_S = 0.5


class Feeder:
    """Writes messages 0, 1, 2 … until it is stopped, and at least so many.

    Its producer is idempotent and goes straight to the broker, so that no fault of the run
    doubles an input.

    Args:
        feed: what they are, and where each of them goes.
        rate: messages a second.
        at_least: messages that are written however early `stop` comes.
        properties: further ones of the producer, with `_` for `.`.
    """

    def __init__(
        self, bootstrap: str, feed: Feed, rate: float, at_least: int, **properties: str | int
    ) -> None:
        self._feed = feed
        self._interval_s = 1.0 / rate
        self._at_least = at_least
        self._stop = threading.Event()
        #: Why it cannot go on, or an input could not be written.
        self.failure: str | None = None
        self._producer = helpers.producer(
            bootstrap,
            enable_idempotence=True,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            # A request to a broker that stood still is not answered; the next one is due before
            # the row has waited long enough.
            socket_timeout_ms=10_000,
            # Nor may it be late itself where recovery is measured.
            reconnect_backoff_max_ms=500,
            # Few requests under way: while a partition goes from one leader to another, the
            # client's threads turn round without a pause until all of its are answered, which on
            # two cores starves the brokers that they wait for.
            linger_ms=50,
            **properties,
        )
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        #: Messages handed to the client so far, or about to be.
        self.count = 0
        #: When message n was handed to the client, by `time.monotonic`.
        self.fed_at: list[float] = []
        #: Of each message that the broker has.
        self.positions: dict[int, Position] = {}
        #: Messages that the broker took for repetitions of what it has, without saying where. In a
        #: topic that was made again meanwhile they may stand nowhere: the client goes on with its
        #: sequence numbers, of which the new topic knows only those that came first.
        self.unplaced: set[int] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Feed no more than what is fed in any case; does not wait."""
        self._stop.set()

    def abandon(self) -> None:
        """Feed nothing more at all; does not wait."""
        self._at_least = 0
        self._stop.set()

    def is_held_up(self) -> bool:
        """Whether no message has been acknowledged for a while; looks for so long."""
        before = len(self.positions)
        time.sleep(_HELD_UP_S)
        return len(self.positions) == before

    def finish(self) -> int:
        """Stop and wait until the broker has all; how many there are."""
        self.stop()
        self._thread.join(300)
        assert not self._thread.is_alive(), "the feeder hangs"
        left = self._producer.flush(120)
        assert self.failure is None, f"an input could not be written: {self.failure}"
        assert left == 0, f"{left} inputs are not acknowledged"
        assert len(self.positions) + len(self.unplaced) == self.count
        return self.count

    def _run(self) -> None:
        try:
            self._feed_on()
        except Exception as failure:
            # Told by whoever waits for the messages.
            self.failure = f"{type(failure).__name__}: {failure}"

    def _feed_on(self) -> None:
        begun = time.monotonic()
        while not self._stop.is_set() or self.count < self._at_least:
            behind = (time.monotonic() - begun) / self._interval_s - self.count
            if behind < 1:
                self._producer.poll(self._interval_s)
                continue
            number = self.count
            # Before it is sent: its outcome may be there when that returns.
            self.fed_at.append(time.monotonic())
            self.count += 1
            self._send(number)

    def _send(self, number: int) -> None:
        """Hand one message to the client."""
        self._put(number, partial(self._delivered, self.positions, number))

    def _put(
        self, number: int, delivered: Callable[[KafkaError | None, Message], None] | None
    ) -> None:
        topic = self._feed.place(number).topic
        helpers.put(self._producer, topic, [self._feed.record(number)], delivered)

    def _delivered(
        self,
        positions: dict[int, Position],
        number: int,
        error: KafkaError | None,
        message: Message,
    ) -> None:
        if error is not None:
            self.failure = error.str()
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        if offset is None:
            self.unplaced.add(number)
            return
        positions[number] = Position(TopicPartition(topic, partition), offset)
