"""The properties of the consumer: what its guarantees rest on, and what a person may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.contracts.choices import GroupProtocol
from consumer.kafka.dependent_properties import LONGEST_REFRESH_MS, session_timeout_ms
from consumer.settings.schema import Settings

#: Kibibytes that librdkafka fetches ahead, over all partitions. A pause throws them away and a
#: resume fetches them again, so this is a fraction of the default (64 MiB): some seconds of work.
PREFETCH_KIB = 16_384

#: Bytes of one partition in one fetch. Brokers send a larger message all the same, but librdkafka
#: then doubles this step by step; 10 MB fits at once.
FETCH_BYTES = 12 * 1024 * 1024

#: Messages that librdkafka fetches ahead; its default is 100,000. Each takes some 400 bytes more,
#: so that small messages would take several times `PREFETCH_KIB`.
PREFETCH_MESSAGES = 20_000

#: Bytes of all partitions in one fetch. A fetch begins while there is room ahead and then takes
#: what it takes: with librdkafka's default, 50 MiB, several times what should stand ahead.
#: Brokers answer with a first message that is larger all the same.
FETCH_MAX_BYTES = 4 * 1024 * 1024

#: Milliseconds after which librdkafka looks again whether there is room to fetch ahead. Within its
#: default, 1,000, a quick worker has emptied what stood ahead and waits for more.
FETCH_BACKOFF_MS = 20


def consumer_properties(settings: Settings) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The properties that `settings.kafka` may change, and those that it may not."""
    defaults = {
        "queued.max.messages.kbytes": PREFETCH_KIB,
        "queued.min.messages": PREFETCH_MESSAGES,
        "max.partition.fetch.bytes": FETCH_BYTES,
        "fetch.max.bytes": FETCH_MAX_BYTES,
        "fetch.queue.backoff.ms": FETCH_BACKOFF_MS,
        # New topics of a pattern are looked for by `InputTopics`, as rarely as a person likes.
        "topic.metadata.refresh.interval.ms": min(
            round(settings.topic_discovery_interval_s * 1000), LONGEST_REFRESH_MS
        ),
    }
    required: dict[str, Any] = {
        "group.id": settings.group_id,
        "group.protocol": settings.group_protocol.value,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        # The client would move in silence; `Restarts` does it, as the setting says.
        "auto.offset.reset": "error",
    }
    if settings.group_protocol is GroupProtocol.CLASSIC:
        # Under the consumer protocol the brokers choose, and the client refuses to be told.
        required["partition.assignment.strategy"] = "cooperative-sticky"
    return defaults, required


def session_s(settings: Settings) -> float:
    """Seconds after which the group expels a member that it does not hear of. Under the consumer
    protocol the brokers set it, and their default is the same."""
    return session_timeout_ms(settings) / 1000
