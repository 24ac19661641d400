"""The output topics, in the delivery mode of the settings."""

from __future__ import annotations

from consumer.kafka.acknowledged_sink import AcknowledgedSink
from consumer.kafka.source import KafkaSource
from consumer.kafka.transactional_sink import TransactionalSink
from consumer.settings import Delivery, Settings


def make_sink(settings: Settings, source: KafkaSource) -> TransactionalSink | AcknowledgedSink:
    """The sink for `settings.delivery`; it commits what `source` reads. Not opened yet."""
    if settings.delivery is Delivery.EXACTLY_ONCE:
        return TransactionalSink(settings, source)
    return AcknowledgedSink(settings, source)
