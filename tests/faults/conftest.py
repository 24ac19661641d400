"""Fixtures of the fault tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.faults.brokers.broker import Broker, running_broker, running_cluster
from tests.integration.servers.kafka_server import KafkaUnavailable


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Apache Kafka of one's own, since rows kill it; skips and fails as the fixture `kafka`."""
    with _or_skip(running_broker()) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Broker]:
    """The same with a second broker, which rows may kill."""
    with _or_skip(running_cluster()) as running:
        yield running


@contextmanager
def _or_skip(kafka: AbstractContextManager[Broker]) -> Iterator[Broker]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(kafka)
        except KafkaUnavailable as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))
        yield running
