"""What the integration tests do to Kafka from outside the worker: feed it and look at it.

Everything here blocks until it is done or raises; nothing uses the code under test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from consumer.kafka.errors import offset_of

T = TypeVar("T")

Headers = tuple[tuple[str, bytes | None], ...]

#: Longest wait for one answer of the broker.
CALL_TIMEOUT_S = 60.0

#: What a broker or the client says while leaders are chosen or connections made anew.
_SOON_OVER = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
    }
)

#: Messages of the tests carry old timestamps. Apache Kafka looks every five minutes for messages
#: older than seven days, and would now and then remove what a test has just written.
_KEPT: Mapping[str, str] = {"retention.ms": "-1"}

#: An article of 10 MB and what comes with it.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One message: to write (position and timestamp may be left to Kafka), or as read."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
    partition: int | None = None
    offset: int | None = None


@cache
def admin(bootstrap: str) -> AdminClient:
    """The client for everything that is not a message. One for each broker, kept to the end: a
    client that goes while an answer is due takes the interpreter with it.
    """
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def patiently(ask: Callable[[], T], timeout_s: float = CALL_TIMEOUT_S) -> T:
    """What `ask` answers, asked again while Kafka says that it will know later.

    A broker shows a topic a moment before it leads its partitions, and one that has just gone is
    asked all the same; both are over soon.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except KafkaException as problem:
            if problem.args[0].code() not in _SOON_OVER or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _metadata(bootstrap: str, topic: str | None = None) -> Any:
    """Topics by name."""
    client = admin(bootstrap)
    # With no topic named the client wants no argument at all.
    asked = (topic,) if topic else ()
    return patiently(lambda: client.list_topics(*asked, timeout=5).topics)


def create_topic(
    bootstrap: str, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
) -> str:
    """Create a topic and wait until the broker shows it; gives its name."""
    client = admin(bootstrap)
    topic = NewTopic(name, partitions, -1, config={**_KEPT, **(config or {})})
    client.create_topics([topic])[name].result(CALL_TIMEOUT_S)
    _await_partitions(bootstrap, name, partitions)
    return name


def _await_partitions(bootstrap: str, name: str, count: int) -> None:
    """Until the broker shows a topic with so many partitions, each with a leader."""

    def is_whole(topics: Mapping[str, Any]) -> bool:
        found = topics.get(name)
        return (
            found is not None
            and found.error is None
            and len(found.partitions) == count
            and all(part.leader >= 0 for part in found.partitions.values())
        )

    _await_metadata(bootstrap, is_whole, f"topic {name} with {count} partitions")


def _await_metadata(bootstrap: str, holds: Callable[[Mapping[str, Any]], bool], what: str) -> None:
    """Until this holds of the topics that the broker shows, by name."""
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while not holds(_metadata(bootstrap)):
        assert time.monotonic() < deadline, f"the broker did not come to show {what}"
        time.sleep(0.02)


def alter_topic(bootstrap: str, name: str, config: Mapping[str, str]) -> None:
    """Set these properties of a topic, and wait until the broker shows them."""
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in config.items()
    ]
    topic = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    client = admin(bootstrap)
    client.incremental_alter_configs([topic])[topic].result(CALL_TIMEOUT_S)
    # The controller knows them by then. The broker follows.
    asked = ConfigResource(ResourceType.TOPIC, name)
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while True:
        shown = client.describe_configs([asked])[asked].result(CALL_TIMEOUT_S)
        if all(shown[key].value == value for key, value in config.items()):
            return
        assert time.monotonic() < deadline, f"the broker does not show {config} of {name}"
        time.sleep(0.02)


def add_partitions(bootstrap: str, name: str, total: int) -> None:
    """Grow a topic to `total` partitions, and wait until the broker shows them."""
    client = admin(bootstrap)
    client.create_partitions([NewPartitions(name, total)])[name].result(CALL_TIMEOUT_S)
    _await_partitions(bootstrap, name, total)


def wait_in_sync(bootstrap: str, timeout_s: float = 180.0) -> None:
    """Until every replica of every partition is in sync and the first of them leads, so that a
    broker may go without taking anything with it."""
    deadline = time.monotonic() + timeout_s
    while True:
        topics = _metadata(bootstrap).values()
        behind = [
            f"{topic.topic}[{part.id}]"
            for topic in topics
            for part in topic.partitions.values()
            if sorted(part.isrs) != sorted(part.replicas) or part.leader != part.replicas[0]
        ]
        if not behind:
            return
        assert time.monotonic() < deadline, f"not in sync: {behind}"
        time.sleep(0.2)


def delete_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Delete topics; one that is gone already is fine."""
    wanted = list(names)
    if not wanted:
        return
    client = admin(bootstrap)
    for future in client.delete_topics(wanted).values():
        try:
            future.result(CALL_TIMEOUT_S)
        except KafkaException as problem:
            if problem.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def remove_topics(bootstrap: str, names: Iterable[str]) -> None:
    """The same, and wait until the broker takes no more for them: what is written between its
    answer and that goes with the topic, although it is acknowledged."""
    wanted = list(names)
    delete_topics(bootstrap, wanted)
    for name in wanted:
        await_gone(bootstrap, name)


def await_gone(bootstrap: str, name: str) -> None:
    """Until the broker shows a deleted topic no more, which is some time after its answer."""
    _await_metadata(bootstrap, lambda topics: name not in topics, f"topics without {name}")


def delete_records(bootstrap: str, topic: str, before: Mapping[int, int]) -> None:
    """Remove everything before an offset of each partition, as retention does."""
    parts = [TopicPartition(topic, number, offset) for number, offset in before.items()]
    client = admin(bootstrap)

    def delete() -> None:
        for future in client.delete_records(parts).values():
            future.result(CALL_TIMEOUT_S)

    patiently(delete)


def producer(bootstrap: str, **properties: str | int | float | bool) -> Producer:
    """A plain producer; properties are librdkafka's with `_` for `.`."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "acks": "all",
        "linger.ms": 5,
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        # As the worker's clients: one that begins anew when the only broker is away for a moment
        # has been seen to know no leaders afterwards (librdkafka 2.16).
        "metadata.recovery.strategy": "none",
    }
    config.update({name.replace("_", "."): value for name, value in properties.items()})
    return Producer(config)


def put(
    client: Producer,
    topic: str,
    records: Iterable[Record],
    on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """Queue records on a producer of one's own, in order; `flush` or a commit is the caller's."""
    for record in records:
        extra: dict[str, Any] = {"headers": list(record.headers), "on_delivery": on_delivery}
        if record.timestamp_ms is not None:
            extra["timestamp"] = record.timestamp_ms
        if record.partition is not None:
            extra["partition"] = record.partition
        while True:
            try:
                client.produce(topic, record.value, record.key, **extra)
                break
            except BufferError:
                client.poll(0.1)
        client.poll(0)


def produce(bootstrap: str, topic: str, records: Iterable[Record | bytes]) -> None:
    """Write records (or bare values) in order and wait until each is acknowledged."""
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    client = producer(bootstrap)
    whole = (one if isinstance(one, Record) else Record(one) for one in records)
    put(client, topic, whole, delivered)
    left = client.flush(2 * CALL_TIMEOUT_S)
    assert not left, f"{left} messages of {topic} were not acknowledged"
    assert not failed, f"{topic}: {failed[0]}"


def end_offsets(bootstrap: str, topic: str, isolation: str = "read_committed") -> dict[int, int]:
    """End offset of each partition; under read_committed the last stable offset."""
    client = admin(bootstrap)
    level = {
        "read_committed": IsolationLevel.READ_COMMITTED,
        "read_uncommitted": IsolationLevel.READ_UNCOMMITTED,
    }[isolation]

    def ask() -> dict[int, int]:
        # Each time, since the client learns of new leaders by it and not by what they refuse.
        found = _metadata(bootstrap, topic)[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        asked = {TopicPartition(topic, part): OffsetSpec.latest() for part in found.partitions}
        answers = client.list_offsets(asked, isolation_level=level, request_timeout=CALL_TIMEOUT_S)
        found = {part.partition: one.result(CALL_TIMEOUT_S) for part, one in answers.items()}
        return {part: offset_of(one) for part, one in found.items()}

    return patiently(ask)


def settled_ends(bootstrap: str, topic: str, timeout_s: float = 180.0) -> dict[int, int]:
    """End offset of each partition once no transaction is open.

    A commit or an abort is answered before its markers are written.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        ends = end_offsets(bootstrap, topic)
        if ends == end_offsets(bootstrap, topic, "read_uncommitted"):
            return ends
        assert time.monotonic() < deadline, f"a transaction of {topic} stays open"
        time.sleep(0.05)


def read_settled(bootstrap: str, topic: str, timeout_s: float = 180.0) -> list[Record]:
    """`read_all` once no transaction is open: a commit is answered before it can be read."""
    settled_ends(bootstrap, topic, timeout_s)
    return read_all(bootstrap, topic)


def read_all(
    bootstrap: str,
    topic: str,
    isolation: str = "read_committed",
    timeout_s: float = 180.0,
) -> list[Record]:
    """Every message up to the end offsets at call time, by partition, then offset.

    Under `read_committed` the end is the last stable offset: what stands behind an open
    transaction is left out, as for every such reader.
    """
    return _read(bootstrap, topic, isolation, timeout_s, end_offsets(bootstrap, topic, isolation))


def wait_for_records(
    bootstrap: str,
    topic: str,
    count: int,
    timeout_s: float = 180.0,
    isolation: str = "read_committed",
) -> list[Record]:
    """`read_all` again and again until there are at least `count`; fails after `timeout_s`."""
    return wait_for_records_of(bootstrap, (topic,), count, timeout_s, isolation)


def wait_for_records_of(
    bootstrap: str,
    topics: Sequence[str],
    count: int,
    timeout_s: float = 180.0,
    isolation: str = "read_committed",
    every_s: float = 0.2,
) -> list[Record]:
    """The same, of all these topics together; asks every so many seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        ends = [end_offsets(bootstrap, topic, isolation) for topic in topics]
        places = sum(sum(one.values()) for one in ends)
        # Of which some may be markers. Asked for first, since all would be read every time.
        if places >= count:
            records = [
                record
                for topic, one in zip(topics, ends, strict=True)
                for record in _read(bootstrap, topic, isolation, timeout_s, one)
            ]
            if len(records) >= count:
                return records
        assert time.monotonic() < deadline, f"{topics} have at most {places} records, not {count}"
        time.sleep(every_s)


def group_reader(bootstrap: str, group: str, isolation: str = "read_committed") -> Consumer:
    """A consumer that asks for offsets under the group's name and never joins it.

    The admin client can ask as well, but one whose request times out has been seen to take the
    process with it (librdkafka 2.16).
    """
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "log_level": 0,
            "isolation.level": isolation,
            "enable.auto.commit": False,
            # As the worker's: one that asks for the end of a partition whose leader is away
            # connects to it thousands of times a second otherwise, and starves the brokers.
            "enable.sparse.connections": False,
        }
    )


def committed_offsets(
    bootstrap: str, group: str, topic: str, partitions: Iterable[int] | None = None
) -> dict[int, int]:
    """The offsets that a group has committed, transactions included; none, no entry.

    A transaction whose end is being written leaves its offsets unstable for a moment; this waits
    for it.
    """
    reader = group_reader(bootstrap, group)
    try:
        return committed_by(reader, topic, partitions or end_offsets(bootstrap, topic))
    finally:
        reader.close()


def committed_by(
    reader: Consumer, topic: str, partitions: Iterable[int], timeout_s: float = CALL_TIMEOUT_S
) -> dict[int, int]:
    """The same, by a reader of one's own."""
    found = reader.committed([TopicPartition(topic, part) for part in partitions], timeout_s)
    return {part.partition: part.offset for part in found if part.offset >= 0}


def _read(
    bootstrap: str, topic: str, isolation: str, timeout_s: float, ends: Mapping[int, int]
) -> list[Record]:
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap,
        "group.id": f"{topic}-reader",
        "log_level": 0,
        "isolation.level": isolation,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": _MAX_MESSAGE_BYTES,
    }
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in ends])
    records: dict[int, list[Record]] = {part: [] for part in ends}
    unfinished = {part for part, end in ends.items() if end > 0}
    deadline = time.monotonic() + timeout_s
    try:
        while unfinished:
            assert time.monotonic() < deadline, f"{topic} was not read to its end in {timeout_s} s"
            message = consumer.poll(0.2)
            if message is None:
                continue
            part, offset = message.partition(), message.offset()
            error = message.error()
            if error is not None:
                # At the end, markers and aborted messages have been passed as well.
                if error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard(part)
                elif not error.retriable():
                    raise KafkaException(error)
                continue
            if offset < ends[part]:
                records[part].append(record_of(message))
            if offset + 1 >= ends[part]:
                unfinished.discard(part)
    finally:
        consumer.close()
    return [record for part in sorted(records) for record in records[part]]


def record_of(message: Message) -> Record:
    """A message as it was read."""
    _, timestamp_ms = message.timestamp()
    return Record(
        value=message.value(),
        key=message.key(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=timestamp_ms,
        partition=message.partition(),
        offset=message.offset(),
    )
