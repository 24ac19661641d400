"""A consumer of the client library, played: messages, callbacks, errors, and then nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.settings.schema import Settings
from tests.support.memory.client_message import Message

ONE = TopicPartition("articles", 0)


TWO = TopicPartition("articles", 1)


def answer(offset: Any, error: KafkaError | None) -> Any:
    """What the client says of one partition of a commit."""
    return SimpleNamespace(
        topic=offset.topic, partition=offset.partition, offset=offset.offset, error=error
    )


def replace_offset(partition: Any, offset: int) -> Any:
    """The client's partition at another offset."""
    return confluent_kafka.TopicPartition(partition.topic, partition.partition, offset)


class Client:
    """Plays a list of messages, callbacks and errors; then nothing."""

    def __init__(self) -> None:
        self.play: list[Message | KafkaError | Callable[[], None]] = []
        self.callbacks: dict[str, Callable[[Any, Sequence[Any]], None]] = {}
        self.seek_failures: list[KafkaError] = []
        self.sought: list[tuple[str, int, int]] = []
        self.assigned: list[TopicPartition] = []
        self.unassigned: list[TopicPartition] = []
        self.paused: list[TopicPartition] = []
        self.left = False
        self.closed = False
        self.watch = ClientWatch()
        self.commits: list[tuple[list[Any], bool]] = []
        self.on_commit: Callable[[Any, Sequence[Any]], None] = lambda *_: None

    def strand(self) -> None:
        """It has forgotten all brokers, and says so."""
        for _ in range(2):
            self.watch.statistics('{"brokers": {}}')

    def commit(self, offsets: list[Any], asynchronous: bool) -> list[Any] | None:
        self.commits.append((offsets, asynchronous))
        return None if asynchronous else [answer(one, None) for one in offsets]

    def answers(
        self, number: int, error: KafkaError | None = None, of_each: KafkaError | None = None
    ) -> Callable[[], None]:
        """The answer to a commit."""
        return lambda: self.on_commit(
            error, [answer(one, of_each) for one in self.commits[number][0]]
        )

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        assert topics == ["articles"]
        self.callbacks = callbacks

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        found = SimpleNamespace(error=None, partitions={0: None, 1: None})
        return SimpleNamespace(topics={topic: found})

    def poll(self, timeout_s: float) -> Message | None:
        assert timeout_s >= 0
        if not self.play:
            return None
        event = self.play.pop(0)
        if isinstance(event, KafkaError):
            raise KafkaException(event)
        if isinstance(event, Message):
            return event
        event()
        return self.poll(timeout_s)

    def consume(self, num_messages: int, timeout_s: float) -> list[Message]:
        assert num_messages >= 1
        assert timeout_s == 0
        taken: list[Message] = []
        while len(taken) < num_messages and (message := self.poll(0)) is not None:
            taken.append(message)
        return taken

    def seek(self, partition: Any) -> None:
        if self.seek_failures:
            raise KafkaException(self.seek_failures.pop(0))
        self.sought.append((partition.topic, partition.partition, partition.offset))

    def happens(self, what: str, *partitions: TopicPartition) -> Callable[[], None]:
        theirs = [confluent_kafka.TopicPartition(p.topic, p.partition) for p in partitions]
        return lambda: self.callbacks[what](self, theirs)

    def incremental_assign(self, partitions: Sequence[Any]) -> None:
        self.assigned += [TopicPartition(one.topic, one.partition) for one in partitions]

    def incremental_unassign(self, partitions: Sequence[Any]) -> None:
        self.unassigned += [TopicPartition(one.topic, one.partition) for one in partitions]

    def position(self, partitions: Sequence[Any]) -> None:
        pass

    def pause(self, partitions: Sequence[Any]) -> None:
        self.paused += [TopicPartition(one.topic, one.partition) for one in partitions]

    def resume(self, partitions: Sequence[Any]) -> None:
        self.paused = [one for one in self.paused if one not in partitions]

    def unsubscribe(self) -> None:
        self.left = True

    def memberid(self) -> str:
        return "me"

    def close(self) -> None:
        self.closed = True
        # As librdkafka does with what it still counts as assigned.
        if self.assigned != self.unassigned and "on_revoke" in self.callbacks:
            self.happens("on_revoke", *self.assigned)()


def makes(monkeypatch: pytest.MonkeyPatch, *clients: Client) -> None:
    """These are the next consumers."""
    coming = iter(clients)

    def make(
        _kind: object, _settings: Settings, watch: ClientWatch, _: object, required: Any
    ) -> Client:
        client = next(coming)
        client.watch = watch
        client.on_commit = required["on_commit"]
        return client

    monkeypatch.setattr("consumer.kafka.source.member.make_client", make)
