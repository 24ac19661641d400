"""Fixtures of the fault tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.broker import Broker, running_broker
from tests.integration.kafka_server import KafkaUnavailable


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Apache Kafka of one's own, since rows kill it; skips and fails as the fixture `kafka`."""
    try:
        with running_broker() as running:
            yield running
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
