"""A Kafka cluster inside this process, for the demo and for quick tests."""

from __future__ import annotations

from confluent_kafka import KafkaException, Producer

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.closing import Closing

#: The cluster lives in this process; an answer takes milliseconds.
_TIMEOUT_S = 10.0


class EmbeddedBroker(Closing):
    """librdkafka's mock cluster: real sockets on the loopback, nothing on disk.

    It does plain produce, fetch, groups and offset commits. It cannot prove exactly-once:
    offsets in transactions are discarded, `read_committed` shows aborted messages, nothing is
    fenced. Topics appear on first use, with 4 partitions; about 5 MB of each are kept. A classic
    group takes 3 seconds to form; who joins it later has to wait for a member's session timeout,
    also when all members have left. One of the consumer protocol does not wait.

    Args:
        brokers: how many.

    Raises:
        KafkaProblem: the cluster does not start.
    """

    def __init__(self, brokers: int = 1) -> None:
        # The cluster belongs to a client and ends with it; this one does nothing else.
        self._client: Producer | None = Producer(
            {"test.mock.num.brokers": brokers, "client.id": "nerstream-embedded", "log_level": 0}
        )
        try:
            found = self._client.list_topics(timeout=_TIMEOUT_S).brokers.values()
        except KafkaException as failed:
            raise KafkaProblem(f"the embedded broker does not start: {failed}") from failed
        self._bootstrap_servers = ",".join(sorted(f"{one.host}:{one.port}" for one in found))

    @property
    def bootstrap_servers(self) -> str:
        """Where other clients, of any process on this machine, join."""
        return self._bootstrap_servers

    def create_topics(self, *names: str) -> None:
        """Make topics of 4 partitions: the cluster does so when a producer asks for one."""
        assert self._client is not None, "the cluster has ended"
        for name in names:
            self._client.list_topics(name, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """End the cluster; its clients lose their connections and all messages are gone."""
        self._client = None
