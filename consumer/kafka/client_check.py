"""Checks that the clients take the properties, before anything that takes long."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, make_client
from consumer.kafka.sink.properties import DEFAULTS, REQUIRED, delivery_properties
from consumer.kafka.source.properties import consumer_properties
from consumer.settings.schema import Settings


def check_clients(settings: Settings) -> None:
    """Make each client that the worker will have, and release it. It takes milliseconds and asks no
    broker.

    Raises:
        SettingsError: a property is unknown, has a wrong value or contradicts another one.
    """
    consumer: Consumer = make_client(
        Consumer, settings, ClientWatch(), *consumer_properties(settings), dry=True
    )
    consumer.close()
    required = {**delivery_properties(settings, settings.group_id), **REQUIRED}
    make_client(Producer, settings, ClientWatch(), DEFAULTS, required, dry=True)
    make_client(AdminClient, settings, ClientWatch(), ASKING_PROPERTIES, {}, dry=True)
