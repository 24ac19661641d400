"""A feeder that writes in transactions, as an upstream program that promises exactly once."""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaException, Message

from consumer.contracts.messages import Position
from tests.faults.feeding.feed import Feed
from tests.faults.feeding.feeder import DELIVERY_TIMEOUT_MS, Feeder
from tests.integration.rigs import helpers

#: Messages of a transaction: from, to.
_SIZES = (10, 80)

#: The share of transactions that are taken back first and written anew, and of those that stay
#: open for so many seconds.
_TAKEN_BACK, _HELD_OPEN, _OPEN_S = 0.2, 0.1, 0.7


class TransactionalFeeder(Feeder):
    """Of its transactions some are taken back, and the same messages are written once more: the
    first copies are no inputs. Some stay open for a while, and hide what stands behind them."""

    def __init__(self, bootstrap: str, feed: Feed, rate: float, at_least: int) -> None:
        super().__init__(
            bootstrap,
            feed,
            rate,
            at_least,
            transactional_id=f"feeder-{uuid.uuid4().hex[:8]}",
            # The client wants no message to outlive its transaction.
            transaction_timeout_ms=DELIVERY_TIMEOUT_MS,
        )
        self._draw = random.Random(feed.seed)
        self._group: list[int] = []
        self._size = 0
        self._offsets: dict[int, Position] = {}

    def _feed_on(self) -> None:
        self._persistently(self._producer.init_transactions)
        super()._feed_on()
        if self._group:
            self._end()

    def _send(self, number: int) -> None:
        if not self._group:
            self._begin()
            self._size = self._draw.randint(*_SIZES)
        self._group.append(number)
        self._write(number)
        if len(self._group) >= self._size:
            self._end()

    def _begin(self) -> None:
        self._offsets = {}
        self._producer.begin_transaction()

    def _write(self, number: int) -> None:
        # What the client does not take, since the transaction has failed, the commit tells.
        with contextlib.suppress(KafkaException):
            self._put(number, partial(self._placed, number))

    def _placed(self, number: int, error: object, message: Message) -> None:
        """Where a message stands; if it does not, the commit tells."""
        if error is None:
            self._delivered(self._offsets, number, None, message)

    def _end(self) -> None:
        """Commit what was written, and write it anew as long as that must be taken back."""
        if self._draw.random() < _HELD_OPEN:
            self._producer.flush(helpers.CALL_TIMEOUT_S)
            self._stop.wait(_OPEN_S)
        if self._draw.random() < _TAKEN_BACK:
            self._producer.flush(helpers.CALL_TIMEOUT_S)
            self._write_anew()
        while not self._persistently(self._producer.commit_transaction):
            self._write_anew()
        told = self._offsets.keys() | self.unplaced
        assert told >= set(self._group), "committed without some messages"
        self.positions |= self._offsets
        self._group = []

    def _write_anew(self) -> None:
        self._persistently(self._producer.abort_transaction)
        self._begin()
        for number in self._group:
            self._write(number)

    @staticmethod
    def _persistently(call: Callable[[float], None]) -> bool:
        """Until Kafka has done it; False where it says that the transaction must be aborted."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT_MS / 1000
        while True:
            try:
                call(helpers.CALL_TIMEOUT_S)
            except KafkaException as problem:
                error = problem.args[0]
                if error.txn_requires_abort():
                    return False
                if not error.retriable() or time.monotonic() > deadline:
                    raise
            else:
                return True
