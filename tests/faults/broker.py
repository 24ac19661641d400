"""A running Apache Kafka for the commands of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.kafka_server import KafkaServer


@contextmanager
def broker() -> Iterator[str]:
    """Bootstrap servers: those of KAFKA_BOOTSTRAP_SERVERS, or of a broker of our own.

    Raises:
        KafkaUnavailable: Java or Apache Kafka is missing.
    """
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
        return
    with KafkaServer() as server:
        yield server.bootstrap_servers
