"""What a client says of a message that it does not take, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.tools.writer import TopicWriter
from consumer.settings.schema import Settings


class Refusing:
    """Has met a fatal error before the first message; the callbacks tell which, once."""

    def __init__(self) -> None:
        self.told = False

    def produce(self, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def poll(self, _: float) -> int:
        if not self.told:
            self.told = True
            code = KafkaError.CLUSTER_AUTHORIZATION_FAILED
            raise KafkaException(KafkaError(code, "Cluster authorization failed", fatal=True))
        return 0


def test_a_fatal_error_is_told_as_what_it_was() -> None:
    writer = TopicWriter(Settings(), "out")
    writer._producer = Refusing()
    with pytest.raises(KafkaProblem, match=r"Cluster authorization failed.*allow this user to"):
        writer.send(b"{}", None)
    with pytest.raises(KafkaProblem, match="Fatal error"):
        writer.send(b"{}", None)
