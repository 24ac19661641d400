"""Fixtures that every test may use; Apache Kafka is started once for the whole run."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.integration.helpers import create_topic, delete_topics
from tests.integration.kafka_server import KafkaServer, KafkaUnavailable

#: Creates a topic of a unique name with so many partitions and these properties.
TopicFactory = Callable[..., str]


def start_or_skip() -> KafkaServer:
    """A running Apache Kafka of one's own; the caller stops it."""
    return start_or_skip_with({})


def start_or_skip_with(config: Mapping[str, str | int]) -> KafkaServer:
    """The same, with these properties of the broker."""
    server = KafkaServer(config)
    try:
        return server.start()
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a running Apache Kafka: the named one, or one of our own.

    Tests that need it skip where it cannot be started, and fail under CI=true.
    """
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
        return
    server = start_or_skip()
    try:
        yield server.bootstrap_servers
    finally:
        server.stop()


@pytest.fixture
def topics(kafka: str) -> Iterator[TopicFactory]:
    """Creates uniquely named topics, and deletes them after the test."""
    created: list[str] = []

    def create(
        name: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:12]}"
        create_topic(kafka, unique, partitions, config)
        created.append(unique)
        return unique

    yield create
    delete_topics(kafka, created)


@pytest.fixture
def group() -> str:
    """A consumer group that no other test knows."""
    return f"group-{uuid.uuid4().hex[:12]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the broker is marked `kafka`, so that `-m "not kafka"` leaves out just that."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)
