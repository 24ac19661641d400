"""How many partitions an input has, asked once."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, make_client
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import takes_in

#: Seconds for the answer; without one nothing is bounded by it.
_ANSWER_S = 5.0

_log = logging.getLogger(__name__)


def input_partitions(settings: Settings) -> int | None:
    """Partitions of all topics that `input_topics` takes in now; None where no broker answers in
    some seconds, or none of the topics is there.

    Raises:
        SettingsError: a librdkafka property is wrong.
    """
    client = make_client(AdminClient, settings, ClientWatch(), ASKING_PROPERTIES, {})
    try:
        topics = client.list_topics(timeout=_ANSWER_S).topics
    except KafkaException as failed:
        _log.debug("the partitions of the input are not known: %s", failed)
        return None
    return (
        sum(
            len(topic.partitions)
            for name, topic in topics.items()
            if topic.error is None and any(takes_in(entry, name) for entry in settings.input_topics)
        )
        or None
    )
