"""What Kafka's errors mean for the worker: whether to go on, and what to tell the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, KafkaProblem

#: The remedy for each error that a person can do something about.
_REMEDIES: Mapping[int, str] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "allow this user to read the input topics and to write the output topics"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow this user to read the consumer group (group_id)",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "allow this user to write and describe transactional ids that begin with group_id and @"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "allow this user to write the topic (brokers before 2.8 want IdempotentWrite on the "
        "cluster)"
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: "check the user and the password (kafka.sasl.*)",
    KafkaError._AUTHENTICATION: "check the user and the password (kafka.sasl.*)",
    KafkaError._SSL: "check the certificates (kafka.ssl.*)",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic, or correct its name in the settings",
    KafkaError._UNKNOWN_TOPIC: "create the topic, or correct its name in the settings",
    KafkaError._UNKNOWN_PARTITION: "create the topic, with as many partitions as it had",
    KafkaError.TOPIC_EXCEPTION: "correct the name of the topic in the settings",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "lower transaction_timeout_ms, or raise transaction.max.timeout.ms on the brokers"
    ),
    KafkaError.INVALID_SESSION_TIMEOUT: (
        "kafka.session.timeout.ms, which kafka.max.poll.interval.ms bounds, must be from "
        "group.min.session.timeout.ms to group.max.session.timeout.ms of the brokers, 6000 to "
        "1800000 where they say nothing else"
    ),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: (
        "the other members of the group share out partitions in another way; stop them, or take "
        "another group_id"
    ),
    KafkaError.UNSUPPORTED_VERSION: (
        "use newer brokers; group_protocol=consumer needs 4.0 or later"
    ),
    KafkaError._UNSUPPORTED_FEATURE: (
        "use newer brokers; group_protocol=consumer needs 4.0 or later"
    ),
    KafkaError.UNSUPPORTED_ASSIGNOR: "choose a kafka.group.remote.assignor that the brokers have",
    KafkaError.GROUP_MAX_SIZE_REACHED: (
        "run fewer workers, or raise group.max.size on the brokers"
    ),
    KafkaError.FENCED_INSTANCE_ID: (
        "another worker runs with the same kafka.group.instance.id; give each its own"
    ),
    KafkaError.UNRELEASED_INSTANCE_ID: (
        "another worker runs with the same kafka.group.instance.id; give each its own"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: "raise max.message.bytes of the topic",
}

#: The producer's transactional id now belongs to someone else, or its transaction timed out.
FENCED = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)

#: The brokers do not have what the producer wrote before, as where a topic was deleted and made
#: again. The client takes most of them for fatal; a new producer begins to count anew.
OUT_OF_SEQUENCE = frozenset(
    {
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.DUPLICATE_SEQUENCE_NUMBER,
        KafkaError.UNKNOWN_PRODUCER_ID,
    }
)

#: Errors that another try does not help against, whatever the client says of them.
PERMANENT = FENCED | {
    code for code in _REMEDIES if code not in (KafkaError._SSL, KafkaError.MSG_SIZE_TOO_LARGE)
}

#: A partition is not led where the client looks for it. A client that only asks for offsets learns
#: of the new leader after a quarter of an hour.
LEADER_MOVED = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)

#: The brokers' errors for a topic that does not exist, or not yet.
UNKNOWN_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})

#: The same, and the client's own for a partition that a topic does not have. It says that also of a
#: topic that is gone, where it has heard of the partitions before it hears of the topic.
ABSENT = UNKNOWN_TOPIC | {KafkaError._UNKNOWN_PARTITION}

#: The member has lost its place in the group; what it holds belongs to the next generation.
STALE_MEMBER = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
    }
)


def raised_by(failed: Exception) -> KafkaException:
    """The client's own exception, out of a call that serves callbacks.

    After a fatal error the call goes on to the next callback. Whatever that callback asks of the
    client fails as a SystemError, whose cause is the exception that was raised first.
    """
    if isinstance(failed, KafkaException):
        return failed
    if isinstance(failed, SystemError) and isinstance(failed.__cause__, KafkaException):
        return failed.__cause__
    raise failed


def error_of(exception: KafkaException) -> KafkaError:
    """The `KafkaError` that the client always puts into its exception."""
    error: KafkaError = exception.args[0]
    return error


def problem(doing: str, error: KafkaError) -> KafkaProblem:
    """The error for a person: what was being done, what Kafka said, what would be right."""
    remedy = _REMEDIES.get(error.code())
    said = error.str().strip().rstrip(".")
    return KafkaProblem(f"{doing}: {said}; {remedy}" if remedy else f"{doing}: {said}")


def judged(doing: str, error: KafkaError) -> AbortableError | KafkaProblem:
    """The error to raise for what failed; AbortableError where reading again may help. A topic that
    is gone, or has become smaller, is waited for; the source says so."""
    if error.code() in OUT_OF_SEQUENCE:
        return AbortableError(
            f"{doing}: the brokers do not have what was written before, as where a topic was "
            f"deleted and made again ({error.str().strip()})"
        )
    if error.fatal() or error.code() in PERMANENT - ABSENT:
        return problem(doing, error)
    return AbortableError(f"{doing}: {error.str().strip()}")


def fenced(transactional_id: str, error: KafkaError) -> KafkaProblem:
    """The error of a producer whose transactional id was taken from it."""
    return KafkaProblem(
        f"the transactional id {transactional_id} was taken over ({error.str().strip()}): another "
        "worker has the same instance, or this one was silent for longer than "
        "transaction_timeout_ms; give each worker its own instance, then start it again"
    )


def offset_of(answer: Any) -> int:
    """The offset in an answer to ListOffsets, for one partition; for a time, -1 says that nothing
    is so new.

    librdkafka (2.16) gives neither an error nor an offset for a partition whose leader does not
    answer.

    Raises:
        KafkaException: code LEADER_NOT_AVAILABLE, which another try may help against.
    """
    offset: int = answer.offset
    if offset == OFFSET_INVALID:
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    return offset
