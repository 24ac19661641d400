"""Fixtures of the tests of the source."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard
from tests.support.memory.fake_client import ONE, TWO, Client, answer, makes, replace_offset


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """The consumer that every source of the test gets, in the place of librdkafka's."""
    client = Client()
    # As librdkafka's mock cluster, it does not tell the ids of topics.
    nobody = SimpleNamespace(controller_id=0, brokers={})
    admin = SimpleNamespace(
        poll=lambda _: 0, list_offsets=lambda *_, **__: {}, list_topics=lambda **_: nobody
    )
    monkeypatch.setattr("consumer.kafka.source.source.require_topics", lambda *_: None)
    monkeypatch.setattr("consumer.kafka.source.source.make_client", lambda *_: admin)
    asks = SimpleNamespace(
        committed=lambda asked, _: [answer(replace_offset(one, 0), None) for one in asked],
        close=lambda: None,
    )
    monkeypatch.setattr("consumer.kafka.source.starts.make_client", lambda *_: asks)
    makes(monkeypatch, client)
    return client


@pytest.fixture
def source(client: Client) -> KafkaSource:
    """A source that has both partitions."""
    source = KafkaSource(Settings())
    source.open(Heard())
    client.play = [client.happens("on_assign", ONE, TWO)]
    assert source.poll(1, 0) == []
    return source
