"""Fixtures that every test may use; Apache Kafka is started once for the whole run."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.helpers import create_topic, delete_topics
from tests.integration.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.shared_kafka import SharedKafka
from tests.support.slow import why_slow

if TYPE_CHECKING:
    from tests.support.scheduling import Scheduling

# OpenMP's threads wait awake for each other. On a machine that has other things to do, each then
# waits for one that is not running: the bundled model took 22 s of processor time to load instead
# of 3. Read when torch is imported, here and in every process that the tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

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
def kafka(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bootstrap servers of a running Apache Kafka: the named one, or one of our own.

    Tests that need it skip where it cannot be started, and fail under CI=true.
    """
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        return named
    folder = tmp_path_factory.getbasetemp()
    # The processes of a parallel run have each a folder in a common one.
    shared = SharedKafka(folder.parent if _in_parallel(pytestconfig) else folder, start_or_skip)
    # After all tests: to wait for other processes is not the time of the last test.
    pytestconfig.add_cleanup(shared.close)
    return shared.bootstrap_servers()


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


def _in_parallel(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What uses the broker is marked `kafka`, so that `-m "not kafka"` leaves out just that; what
    takes long without it, `slow`."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)
        reason = why_slow(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.slow(reason=reason))
    if _in_parallel(config):
        from tests.support.scheduling import longest_first

        items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """How the tests of a parallel run are shared out."""
    from tests.support.scheduling import Scheduling

    return Scheduling(config, log)
