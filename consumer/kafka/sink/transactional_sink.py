"""Outputs and input offsets in one transaction: `delivery=exactly_once`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.bounded import Hung, bounded
from consumer.kafka.errors import (
    FENCED,
    OUT_OF_SEQUENCE,
    STALE_MEMBER,
    UNKNOWN_TOPIC,
    error_of,
    fenced,
)
from consumer.kafka.internal_topics import InternalTopics
from consumer.kafka.retry import OutOfTime, again
from consumer.kafka.security.access import user_of
from consumer.kafka.sink.instance import Instance, transactional_id
from consumer.kafka.sink.kafka_sink import KafkaSink
from consumer.kafka.sink.output import Output
from consumer.kafka.sink.properties import delivery_properties
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.source.topics.vouching import Vouching
from consumer.settings.access import grant
from consumer.settings.schema import Settings

_log = logging.getLogger(__name__)

#: Seconds beyond the transaction timeout in which brokers come back from a restart. By then they
#: have ended the transaction themselves, so that a call that reaches them is answered.
_GRACE_S = 30.0

#: Seconds for a call that a new producer can repeat. After an outage a client may wait for its
#: coordinator for ever (librdkafka 2.16), while a new client finds it at once.
_PATIENCE_S = 15.0

#: Seconds for an abort; the new producer that follows one ends the transaction as well.
_ABORT_TIMEOUT_S = 5.0

#: Seconds beyond its timeout after which `send_offsets_to_transaction` is given up. Where the
#: group's coordinator has gone it waits without an end (librdkafka's issues 5456, 5511).
_HUNG_S = 5.0


#: What this user is denied is still denied after an abort.
_DENIED = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})


class TransactionalSink(KafkaSink):
    """A sink with Kafka transactions.

    Errors: after a retriable one the same call is made again; an abortable one becomes an
    AbortableError; anything else becomes a KafkaProblem.

    Where a transaction did not end smoothly, a new producer takes over before the next one begins.
    librdkafka has no KIP-890, so a delayed request of the old transaction could end the next one.
    The epoch of the new producer fences such a request.
    """

    def __init__(self, settings: Settings, source: KafkaSource) -> None:
        super().__init__(settings, source)
        self._instance: Instance | None = None
        self._transactional_id = ""
        self._begun_at = 0.0
        self._internal_topics = InternalTopics(settings)
        self._obstacle = ""

    def open(self) -> None:
        super().open()
        try:
            self._init_transactions()
        except OutOfTime as late:
            why = self._obstacle or str(late)
            raise KafkaProblem(f"the producer cannot be made ready: {why}") from late
        _log.info("transactional id %s", self._transactional_id)

    def obstacle(self) -> str:
        return self._obstacle

    def begin(self) -> None:
        self._begun_at = time.monotonic()
        super().begin()

    def close(self) -> None:
        super().close()
        if self._instance is not None:
            self._instance.release()
            self._instance = None

    def _make_output(self) -> Output:
        self._instance = Instance(self._settings)
        self._transactional_id = transactional_id(self._settings.group_id, self._instance.name)
        properties = delivery_properties(self._settings, self._transactional_id)
        return Output(self._settings, properties, self._outlived)

    def _make_ready_again(self) -> None:
        try:
            self._init_transactions()
        except OutOfTime as late:
            # Brokers that are away are waited for, however long; the pipeline tries again.
            raise AbortableError(f"the producer cannot be made ready: {late}") from late

    def _begin(self) -> None:
        producer = self._ready.producer
        self._triaged(
            "a transaction cannot begin", self._timeout_s, lambda _: producer.begin_transaction()
        )

    def _membership(self) -> object:
        return self._source.group_metadata()

    def _commit(
        self, offsets: Mapping[TopicPartition, int], vouching: Vouching, membership: object
    ) -> None:
        if offsets:
            # Meanwhile the brokers answer for the topics.
            self._add_offsets(self._ready.producer, vouching.offsets, membership)
            vouching.require()
        self._end_by_commit(offsets)

    def _outlived(self) -> bool:
        """Whether the brokers may have ended the transaction at its timeout, as after an outage.

        The client hears of that and of a takeover in the same words. After a takeover within the
        timeout a new producer would fence the other worker, which would fence this one, for ever.
        """
        return time.monotonic() - self._begun_at >= self._timeout_s

    def _init_transactions(self) -> None:
        """Fence every earlier producer of this id, and end what it left open.

        Raises:
            OutOfTime: no answer; a new producer may get one.
        """
        producer = self._ready.producer
        try:
            again(producer.init_transactions, self._timeout_s + _GRACE_S, self._look_for_obstacle)
        except KafkaException as failed:
            if error_of(failed).code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                name = self._transactional_id
                every = f"{name.partition('@')[0]}@"
                raise KafkaProblem(
                    f"{user_of(self._settings)} may not use the transactional id {name}; "
                    + grant(self._settings, "transactional-id", every, ("WRITE", "DESCRIBE"))
                ) from None
            meaning = self._meaning("the producer cannot be made ready", failed)
            # No transaction is open that an abort could end.
            raise KafkaProblem(str(meaning)) from failed
        self._obstacle = ""

    def _look_for_obstacle(self) -> None:
        """Find out why the coordinator of transactions is waited for; the client does not say."""
        self._obstacle = "; ".join(self._internal_topics.obstacles())

    def _add_offsets(self, producer: Any, offsets: Sequence[Any], metadata: object) -> None:
        def add(left_s: float) -> None:
            bounded(
                lambda: producer.send_offsets_to_transaction(offsets, metadata, left_s),
                left_s + _HUNG_S,
            )

        doing = "the offsets cannot join the transaction"
        try:
            self._triaged(doing, min(self._timeout_s, _PATIENCE_S), add)
        except Hung as hung:
            self._ready.lost = True
            raise AbortableError(f"{doing}: {hung}") from hung

    def _end_by_commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        output = self._ready
        errors = output.watch.count
        # Whatever error comes: a connection that breaks meanwhile may leave a request behind at the
        # broker.
        self._renew = True
        try:
            smooth = again(output.producer.commit_transaction, _PATIENCE_S)
        except OutOfTime as late:
            self._find_out(offsets, late)
        except KafkaException as failed:
            if not (error_of(failed).code() in FENCED and self._outlived()):
                raise self._meaning("the transaction cannot be committed", failed) from failed
            self._find_out(offsets, failed)
        else:
            output.serve()
            self._renew = not smooth or output.watch.count != errors

    def _find_out(self, offsets: Mapping[TopicPartition, int], failed: Exception) -> None:
        """Find out whether a transaction was committed whose end was not answered.

        A new producer of the same id ends it: as the coordinator has decided, or by an abort if the
        request never arrived. The group's offsets then tell which. They stand further on only where
        another worker has taken the partitions over and resolved the same inputs.

        Raises:
            AbortableError: it was not committed; or it cannot be found out, but the transaction
                held offsets alone.
            KafkaProblem: it cannot be found out, and the transaction held messages.
        """
        _log.warning("the end of a transaction was not answered (%s); finding out", failed)
        self._open = False
        try:
            self._ready.start()
            self._init_transactions()
            self._renew = False
            committed = self._source.committed(offsets)
        except (OutOfTime, AbortableError, KafkaException) as still:
            if not self._written:
                raise AbortableError(
                    f"whether the offsets are committed is not known ({still})"
                ) from still
            # An abort now could have messages sent again that are committed.
            raise KafkaProblem(
                f"the outcome of a transaction is unknown: the brokers do not answer ({still}); "
                "start the worker again, which resolves it"
            ) from still
        if any(committed.get(partition, -1) < offset for partition, offset in offsets.items()):
            raise AbortableError(
                "the brokers have aborted a transaction whose end was not answered"
            )

    def _abort(self) -> None:
        output = self._ready
        if output.lost:
            _log.warning("the producer does not come back; a new one ends its transaction")
            return
        try:
            again(output.producer.abort_transaction, _ABORT_TIMEOUT_S)
        except OutOfTime as late:
            _log.warning("the abort was not answered (%s); a new producer fences it", late)
        except KafkaException as failed:
            error = error_of(failed)
            if error.code() == KafkaError.INVALID_TXN_STATE:
                # The coordinator has none open: a topic is gone, and so it took no partition. For
                # the client this is fatal; a new one begins afresh.
                _log.warning("there was nothing to abort (%s)", error.str().strip())
                return
            meaning = self._meaning("the transaction cannot be aborted", failed)
            if not isinstance(meaning, AbortableError):
                raise meaning from failed
            _log.warning("%s; a new producer fences it", meaning)

    def _triaged(self, doing: str, timeout_s: float, call: Callable[[float], object]) -> None:
        try:
            again(call, timeout_s)
        except OutOfTime as late:
            raise AbortableError(f"{doing} within {timeout_s:.0f} s: {late}") from late
        except KafkaException as failed:
            raise self._meaning(doing, failed) from failed

    def _meaning(self, doing: str, failed: KafkaException) -> AbortableError | KafkaProblem:
        """The error to raise: that of a message that failed, or else that of the call itself."""
        error = error_of(failed)
        try:
            self._ready.raise_failure()
        except (AbortableError, KafkaProblem) as reason:
            return reason
        if error.code() in UNKNOWN_TOPIC:
            # The offsets' topic is gone, and is waited for; the source says so.
            return AbortableError(f"{doing}: {error.str().strip()}")
        if error.txn_requires_abort() and error.code() not in _DENIED:
            kind = GroupMoved if error.code() in STALE_MEMBER else AbortableError
            return kind(f"{doing}: {error.str().strip()}")
        meaning = self._ready.judge(doing, error)
        # `judge` is for single messages; a call that is neither retriable nor abortable is over.
        if not isinstance(meaning, AbortableError) or error.code() in OUT_OF_SEQUENCE:
            return meaning
        if error.code() in FENCED:
            return meaning if self._outlived() else fenced(self._transactional_id, error)
        return KafkaProblem(str(meaning))
