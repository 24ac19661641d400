"""A running Apache Kafka for the commands of this folder."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.servers.kafka_server import STEADY, KafkaServer


@contextmanager
def broker() -> Iterator[str]:
    """Bootstrap servers: those of KAFKA_BOOTSTRAP_SERVERS, or of a broker of our own.

    SIGTERM ends the command as Ctrl-C does, so that broker and worker do not outlive it.

    Raises:
        KafkaUnavailable: Java or Apache Kafka is missing.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if named:
            yield named
            return
        with KafkaServer(STEADY, on_disk=True) as server:
            yield server.bootstrap_servers
    finally:
        signal.signal(signal.SIGTERM, before)
