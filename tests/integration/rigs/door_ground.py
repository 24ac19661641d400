"""Topics behind the doors, and a worker's settings for them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from consumer.contracts.errors import NerstreamError
from consumer.kafka.client_check import check_clients
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs import helpers
from tests.integration.rigs.reading import TIMEOUT_S, Heard
from tests.integration.servers.secured_kafka import Doors


class DoorGround:
    """An input, an output and a dead-letter topic, and a group, all of unique names.

    Attributes:
        names: of these, as `NEEDS` calls them.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        unique = uuid.uuid4().hex[:8]
        self.names = {
            "input": f"in-{unique}",
            "output": f"out-{unique}",
            "dead": f"dead-{unique}",
            "group": f"group-{unique}",
            "transactional id": f"group-{unique}@",
        }
        for one in ("input", "output", "dead"):
            helpers.create_topic(doors.plain, self.names[one])
        self._put = 0

    def settings(self, listener: str, kafka: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """A worker's, as fields of `Settings`.

        Args:
            listener: by name; `PLAIN` is the one without a door.
        """
        at = self.doors.plain if listener == "PLAIN" else self.doors.at(listener)
        return {
            "bootstrap_servers": at,
            "input_topics": self.names["input"],
            "output_topic": self.names["output"],
            "dead_letter_topic": self.names["dead"],
            "group_id": self.names["group"],
            "kafka": dict(kafka),
            **more,
        }

    def put(self, count: int) -> None:
        """Write so many more articles."""
        ids = range(self._put, self._put + count)
        values = [json.dumps({"id": str(one), "title": "Oslo"}).encode() for one in ids]
        helpers.produce(self.doors.plain, self.names["input"], values)
        self._put += count

    def await_all(self) -> None:
        """Until all that was written stands in the output; each once and in order."""
        found = helpers.wait_for_records(self.doors.plain, self.names["output"], self._put)
        assert [json.loads(one.value or b"")["id"] for one in found] == [
            str(one) for one in range(self._put)
        ]

    def refusal(self, listener: str, kafka: Mapping[str, str], **more: Any) -> str:
        """What a worker says that cannot begin; empty where it can."""
        settings = Settings(**self.settings(listener, kafka, instance="one", **more))
        with ExitStack() as stack:
            try:
                check_clients(settings)
                return _begun(settings, stack)
            except NerstreamError as refused:
                return str(refused)


def _begun(settings: Settings, stack: ExitStack) -> str:
    source = KafkaSource(settings)
    stack.callback(source.close)
    source.open(Heard())
    sink = make_sink(settings, source)
    stack.callback(sink.close)
    sink.open()
    # Whether it may join its group it hears after a while.
    deadline = time.monotonic() + TIMEOUT_S
    while not source.assignments():
        assert time.monotonic() < deadline, "it is neither refused nor a member of its group"
        source.poll(1, 0.1)
    return ""
