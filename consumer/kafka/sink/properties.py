"""The properties of the producer: what its guarantees rest on, and what a person may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.contracts.choices import Delivery
from consumer.settings.schema import Settings

#: What `settings.kafka` may change. The buffer holds far more than `in_flight_bytes` lets in.
DEFAULTS: Mapping[str, Any] = {
    "compression.type": "lz4",
    # A commit flushes, so that a transaction shows nothing later because of it.
    "linger.ms": 20,
    # Of one message; the topic's own limit decides long before.
    "message.max.bytes": 100 * 1024 * 1024,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}

#: What it may not.
REQUIRED: Mapping[str, Any] = {
    "acks": "all",
    # Of the messages that went well nobody wants to hear one by one.
    "delivery.report.only.error": True,
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
}


def delivery_properties(settings: Settings, transactional_id: str) -> Mapping[str, Any]:
    """Those that it may not change either, of the delivery mode."""
    if settings.delivery is not Delivery.EXACTLY_ONCE:
        return {}
    return {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": settings.transaction_timeout_ms,
    }
