"""Topics that live as long as a benchmark."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.client import ClientWatch, make_client
from consumer.kafka.errors import error_of, problem
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for the brokers to make or remove the topics.
_TIMEOUT_S = 30.0


@contextlib.contextmanager
def temporary_topics(settings: Settings, names: Sequence[str], partitions: int) -> Iterator[None]:
    """Create topics, and delete them on the way out.

    Args:
        settings: how to reach the brokers.
        names: topics that do not exist yet.
        partitions: of each.

    Raises:
        KafkaProblem: no broker answers, or it does not let us.
    """
    admin = make_client(AdminClient, settings, ClientWatch(), {}, {})
    wanted = [NewTopic(name, partitions, -1) for name in names]
    for name, made in admin.create_topics(wanted, request_timeout=_TIMEOUT_S).items():
        try:
            made.result(_TIMEOUT_S)
        except KafkaException as failed:
            raise problem(f"the topic {name} cannot be created", error_of(failed)) from failed
    try:
        _await(admin, names, partitions)
        yield
    finally:
        for removed in admin.delete_topics(list(names), request_timeout=_TIMEOUT_S).values():
            with contextlib.suppress(KafkaException):
                removed.result(_TIMEOUT_S)


def _await(admin: AdminClient, names: Sequence[str], partitions: int) -> None:
    """Until every partition has a leader; the brokers tell of a topic a moment before."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
        led = [
            sum(part.leader >= 0 for part in found[name].partitions.values())
            for name in names
            if name in found
        ]
        if led == [partitions] * len(names):
            return
        if time.monotonic() > deadline:
            raise KafkaProblem(f"the topics {', '.join(names)} did not appear")
        time.sleep(0.05)
