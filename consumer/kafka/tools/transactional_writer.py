"""TransactionalWriter: messages to several topics in transactions, under one name at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, KafkaProblem, RenewalDue
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.closing import Closing
from consumer.kafka.errors import FENCED, PERMANENT, error_of, problem
from consumer.kafka.internal_topics import TRANSACTIONS, InternalTopics
from consumer.kafka.retry import OutOfTime, again
from consumer.kafka.sink.output import Output
from consumer.settings.schema import Settings

#: Seconds for the end of a transaction, after which its outcome is for its topics to tell.
_PATIENCE_S = 15.0

#: Seconds for an abort; the next `open` ends the transaction as well.
_ABORT_TIMEOUT_S = 5.0

#: Seconds beyond the transaction timeout in which brokers come back from a restart.
_GRACE_S = 30.0

_log = logging.getLogger(__name__)


class TransactionalWriter(Closing):
    """Writes in transactions. After an AbortableError nothing is said of whether the transaction
    was committed: `open` again ends it one way or the other, and then its topics show which.

    The writer that opened last under a name is the only one that can write: the one before is
    fenced, and hears of it at its next call. Not for several threads.

    Args:
        settings: how to reach the brokers, and `transaction_timeout_ms`.
        transactional_id: the name.
        taken_over: what to tell a person where another writer has opened under it.
    """

    def __init__(self, settings: Settings, transactional_id: str, taken_over: str) -> None:
        self._timeout_s = settings.transaction_timeout_ms / 1000
        self._taken_over = taken_over
        self._transactional_id = transactional_id
        self._internal_topics = InternalTopics(settings)
        self._obstacle = ""
        properties = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
        }
        self._output = Output(settings, properties, self._outlived)
        self._begun_at = 0.0
        self._is_open = False

    def open(self) -> None:
        """Begin anew: fence every earlier writer of this name, and end what it left open.

        Raises:
            AbortableError: the brokers do not answer in time; another try may help.
            KafkaProblem: they refuse.
        """
        self._is_open = False
        self._output.start()
        self._output.begin()
        timeout_s = self._timeout_s + _GRACE_S
        self._obstacle = ""
        self._called(
            "the producer cannot be made ready", self._init, timeout_s, self._look_for_obstacle
        )

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            RenewalDue: `open` is due first.
            AbortableError: the brokers do not answer.
        """
        self._begun_at = time.monotonic()
        if self._output.begin():
            raise RenewalDue("messages of a refused batch are sent one by one")
        self._called("a transaction cannot begin", self._begin, self._timeout_s)
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether a transaction was begun and not ended."""
        return self._is_open

    @property
    def open_s(self) -> float:
        """Seconds since the begin of the open transaction; 0 where there is none."""
        return time.monotonic() - self._begun_at if self._is_open else 0.0

    def send(self, message: Outgoing) -> None:
        """Queue one message.

        Raises:
            RejectedMessage: the client cannot write it, by its size or its timestamp.
            AbortableError, KafkaProblem: an earlier message failed.
        """
        self._fenced(lambda: self._output.send(message, self._timeout_s))

    def commit(self) -> bool:
        """Commit what was sent; says whether all went smoothly. Where not, `open` is due before
        the next `begin`: a request that is late could end another transaction.

        Raises:
            AbortableError: it was not committed, or it is not known whether it was.
            KafkaProblem: another writer has the name, or the brokers refuse.
        """
        self._fenced(lambda: self._output.flush(self._timeout_s))
        errors = self._output.watch.count
        smooth = self._called("the transaction cannot be committed", self._commit, _PATIENCE_S)
        self._is_open = False
        self._output.serve()
        return smooth and self._output.watch.count == errors

    def abort(self) -> None:
        """Take back what was sent since `begin`, as far as the brokers answer.

        Raises:
            KafkaProblem: another writer has the name.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            again(self._output.producer.abort_transaction, _ABORT_TIMEOUT_S)
        except OutOfTime as late:
            _log.debug("the abort was not answered: %s", late)
        except KafkaException as failed:
            if self._is_taken_over(failed):
                raise KafkaProblem(self._taken_over) from failed
            _log.debug("the abort failed: %s", failed)

    def settle(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Messages that answer what stands before these offsets, or in partitions that are not
        named, do not come by again."""
        self._output.settle(offsets, offsets.keys())

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        """Why the topic does not take the message that answers this position; None if it does, as
        far as is known."""
        return self._output.refusals.refused(topic, position)

    def close(self) -> None:
        """End what is open, by an abort, and let go."""
        try:
            self.abort()
        except KafkaProblem:
            _log.debug("the last transaction was fenced")
        self._output.stop()

    def _init(self, left_s: float) -> None:
        self._output.producer.init_transactions(left_s)

    def _begin(self, _: float) -> None:
        self._output.producer.begin_transaction()

    def _commit(self, left_s: float) -> None:
        self._output.producer.commit_transaction(left_s)

    def _outlived(self) -> bool:
        """Whether the brokers may have ended the transaction at its timeout, of which the client
        hears in the words of a takeover."""
        return time.monotonic() - self._begun_at >= self._timeout_s

    def _is_taken_over(self, failed: KafkaException) -> bool:
        return not self._outlived() and bool(
            FENCED & {error_of(failed).code(), self._output.failure_code}
        )

    def _look_for_obstacle(self) -> None:
        """The coordinator of transactions is waited for; the client does not say why."""
        self._obstacle = self._internal_topics.obstacle(TRANSACTIONS)

    def _called(
        self,
        doing: str,
        call: Callable[[float], object],
        timeout_s: float,
        waiting: Callable[[], object] | None = None,
    ) -> bool:
        try:
            return again(call, timeout_s, waiting)
        except OutOfTime as late:
            why = self._obstacle or str(late)
            raise AbortableError(f"{doing} within {timeout_s:.0f} s: {why}") from late
        except KafkaException as failed:
            error = error_of(failed)
            if self._is_taken_over(failed):
                raise KafkaProblem(self._taken_over) from failed
            # A reason that a message gave says more than the call that fails for it.
            self._fenced(self._output.raise_failure)
            if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                raise KafkaProblem(
                    f"{doing}: {error.str().strip()}; allow this user to write and describe the "
                    f"transactional id {self._transactional_id}"
                ) from failed
            if error.code() in PERMANENT - FENCED:
                raise problem(doing, error) from failed
            raise AbortableError(f"{doing}: {error.str().strip()}") from failed

    def _fenced(self, call: Callable[[], object]) -> None:
        """Make a call of the producer's, and tell of a takeover in our own words."""
        try:
            call()
        except KafkaProblem as failed:
            if self._output.failure_code in FENCED and not self._outlived():
                raise KafkaProblem(self._taken_over) from failed
            raise
