"""The broker of the fault runs, and the proxy before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults.brokers.proxy import Proxy
from tests.integration.servers.kafka_server import KafkaServer, free_ports
from tests.integration.servers.registry_server import RegistryServer

#: KIP-848 has the session timeout on the broker. The broker's own session is long enough for a
#: loaded machine, and short enough that a killed one is let in again soon.
_CONFIG = {"group.consumer.session.timeout.ms": 3_000, "broker.session.timeout.ms": 6_000}


class Broker:
    """Apache Kafka, with a proxy before it for the workers that are to have a bad network.

    Args:
        server: the broker that rows stop and kill.
        others: brokers of the same cluster that live on.
    """

    def __init__(self, server: KafkaServer, proxy: Proxy, *others: KafkaServer) -> None:
        self.server = server
        self.proxy = proxy
        self._others = others
        self._registry: RegistryServer | None = None

    def registry(self) -> RegistryServer:
        """A schema registry, which rows may stop; it is started when it is first asked for.

        Raises:
            RegistryMissing: Java or the jars are missing.
        """
        if self._registry is None:
            self._registry = RegistryServer().start()
        return self._registry

    def close(self) -> None:
        """Stop what was started beside the brokers."""
        if self._registry is not None:
            self._registry.stop()

    def keep_logs(self, folder: Path) -> None:
        """Write what the brokers have logged so far into a folder: theirs ends with them."""
        for number, one in enumerate((*self._others, self.server), 1):
            (folder / f"broker-{number}.log").write_text(one.log(10_000_000))

    def has_logged(self, text: str) -> bool:
        """Whether one of the brokers has said this since it was first started."""
        return any(text in one.log(100_000_000) for one in (*self._others, self.server))

    @property
    def direct(self) -> str:
        """Bootstrap servers without the proxy."""
        return ",".join(one.bootstrap_servers for one in (*self._others, self.server))

    @property
    def proxied(self) -> str:
        """Bootstrap servers through the proxy."""
        return f"127.0.0.1:{self.proxy.port}"


@contextmanager
def running_broker(config: Mapping[str, str | int] = _CONFIG) -> Iterator[Broker]:
    """A broker of one's own, which a row may kill.

    Raises:
        KafkaUnavailable: Java or the jars are missing.
    """
    (port,) = free_ports(1)
    with (
        KafkaServer(config, port) as server,
        Proxy(port, server.proxied_port) as proxy,
        closing(Broker(server, proxy)) as broker,
    ):
        yield broker


#: Leaders go back to where they were soon after a broker has come back.
_TWO = {
    **_CONFIG,
    "default.replication.factor": 2,
    "offsets.topic.replication.factor": 2,
    "transaction.state.log.replication.factor": 2,
    "leader.imbalance.check.interval.seconds": 1,
    "leader.imbalance.per.broker.percentage": 0,
}


@contextmanager
def running_cluster() -> Iterator[Broker]:
    """Two brokers, two replicas of everything; the second may be killed.

    A broker that is alone cannot go in mid-transaction: Apache Kafka 4.4, started again and not
    yet let in by its controller, takes the partitions that it leads itself for deleted, and leaves
    their transactions open for ever ("likely deleted already and hence can be skipped").

    Raises:
        KafkaUnavailable: Java or the jars are missing.
    """
    with (
        KafkaServer(_TWO) as first,
        KafkaServer(_TWO, joins=first) as second,
        Proxy(0, 0) as proxy,
        closing(Broker(second, proxy, first)) as broker,
    ):
        yield broker
