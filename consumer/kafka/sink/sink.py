"""The output topics, in the delivery mode of the settings."""

from __future__ import annotations

from consumer.contracts.choices import Delivery
from consumer.kafka.sink.acknowledged_sink import AcknowledgedSink
from consumer.kafka.sink.kafka_sink import KafkaSink
from consumer.kafka.sink.transactional_sink import TransactionalSink
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings


def make_sink(settings: Settings, source: KafkaSource) -> KafkaSink:
    """The sink for `settings.delivery`; it commits what `source` reads. Not opened yet."""
    if settings.delivery is Delivery.EXACTLY_ONCE:
        return TransactionalSink(settings, source)
    return AcknowledgedSink(settings, source)
