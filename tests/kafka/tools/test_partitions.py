"""How many partitions an input has."""

from __future__ import annotations

import pytest

from consumer.kafka.tools import partitions
from consumer.kafka.tools.embedded import EmbeddedBroker
from consumer.kafka.tools.partitions import input_partitions
from consumer.settings.schema import Settings


def test_those_of_all_topics_that_are_taken_in_count() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topics("news-a", "news-b", "other")

        def of(*topics: str) -> int | None:
            return input_partitions(
                Settings(bootstrap_servers=broker.bootstrap_servers, input_topics=topics)
            )

        assert of("news-a") == 4
        assert of("^news-.*") == 8
        assert of("^news-.*", "news-a", "other") == 12
        assert of("^nothing-.*") is None


def test_without_an_answer_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_ANSWER_S", 0.2)
    assert input_partitions(Settings(bootstrap_servers="127.0.0.1:1")) is None
