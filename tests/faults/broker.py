"""The broker of the fault runs, and the proxy before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.proxy import Proxy
from tests.integration.kafka_server import KafkaServer, free_ports


class Broker:
    """Apache Kafka, with a proxy before it for the workers that are to have a bad network."""

    def __init__(self, server: KafkaServer, proxy: Proxy) -> None:
        self.server = server
        self.proxy = proxy

    @property
    def direct(self) -> str:
        """Bootstrap servers without the proxy."""
        return self.server.bootstrap_servers

    @property
    def proxied(self) -> str:
        """Bootstrap servers through the proxy."""
        return f"127.0.0.1:{self.proxy.port}"


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A broker of one's own, which a row may kill.

    Raises:
        KafkaUnavailable: Java or the jars are missing.
    """
    (port,) = free_ports(1)
    with (
        KafkaServer({"group.consumer.session.timeout.ms": 3_000}, port) as server,
        Proxy(port, server.proxied_port) as proxy,
    ):
        yield Broker(server, proxy)
