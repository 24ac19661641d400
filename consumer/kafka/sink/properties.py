"""The properties of the producer: what its guarantees rest on, and what a person may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.contracts.choices import Delivery
from consumer.settings.schema import Settings

#: What `settings.kafka` may change. The buffer holds far more than `in_flight_bytes` lets in.
DEFAULTS: Mapping[str, Any] = {
    "compression.type": "lz4",
    # A commit flushes, so that nothing becomes visible later because of this.
    "linger.ms": 20,
    # Of one message; the topic's own limit decides long before.
    "message.max.bytes": 100 * 1024 * 1024,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}

#: What `settings.kafka` may not change.
REQUIRED: Mapping[str, Any] = {
    "acks": "all",
    # Reports of messages that went well would be of no use.
    "delivery.report.only.error": True,
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
}


def delivery_properties(settings: Settings, transactional_id: str) -> Mapping[str, Any]:
    """The properties of the delivery mode; `settings.kafka` may not change these either."""
    if settings.delivery is not Delivery.EXACTLY_ONCE:
        return {}
    return {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": settings.transaction_timeout_ms,
    }
