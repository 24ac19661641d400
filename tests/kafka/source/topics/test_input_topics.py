"""InputTopics: patterns over what the brokers have, as time goes by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.source.topics.input_topics import InputTopics
from consumer.settings.schema import Settings


class Brokers:
    """What they have: topics with so many partitions. Time is what it is set to."""

    def __init__(self, **topics: int) -> None:
        self.topics = topics
        self.now = 0.0
        self.looks = 0
        self.away = False

    def clock(self) -> float:
        return self.now

    def list_topics(self, topic: str | None = None, *, timeout: float) -> Any:
        assert timeout > 0
        self.looks += 1
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(
            topics={
                name: SimpleNamespace(partitions=dict.fromkeys(range(count)))
                for name, count in self.topics.items()
                if topic in (None, name)
            }
        )


def topics_of(brokers: Brokers, *entries: str) -> InputTopics:
    settings = Settings(input_topics=entries, topic_discovery_interval_s=10)
    return InputTopics(settings, brokers.clock)


def test_each_entry_has_its_partitions_and_each_topic_is_read_once() -> None:
    brokers = Brokers(named=2, news_a=1, news_b=1, other=1)
    topics = topics_of(brokers, "named", "^news_.*", "^n.*d", "^x.*")
    entries = topics.entries(brokers, ClientWatch())
    both = (TopicPartition("named", 0), TopicPartition("named", 1))
    news = (TopicPartition("news_a", 0), TopicPartition("news_b", 0))
    assert entries == [both, news, both, ()]
    assert topics.names == ["named", "news_a", "news_b"]
    assert list(topics.named) == ["named"]
    assert topics.missing() == ("no topic matches the pattern ^x.* (input_topics)",)


def test_names_alone_are_never_looked_for_again() -> None:
    brokers = Brokers(named=1)
    topics = topics_of(brokers, "named")
    topics.entries(brokers, ClientWatch())
    brokers.now, looks = 1_000.0, brokers.looks
    assert not topics.refresh(brokers)
    assert brokers.looks == looks


def test_a_new_topic_is_seen_at_the_next_look() -> None:
    brokers = Brokers(news_a=1)
    topics = topics_of(brokers, "^news_.*")
    topics.entries(brokers, ClientWatch())
    brokers.topics["news_b"] = 1
    brokers.now = 9.9
    assert not topics.refresh(brokers)
    brokers.now = 10.0
    assert topics.refresh(brokers)
    assert topics.names == ["news_a", "news_b"]
    brokers.now = 20.0
    assert not topics.refresh(brokers)


def test_a_topic_is_given_up_only_when_it_was_away_for_long() -> None:
    brokers = Brokers(news_a=1, news_b=1)
    topics = topics_of(brokers, "^news_.*")
    topics.entries(brokers, ClientWatch())
    del brokers.topics["news_b"]
    for now in (10.0, 20.0, 30.0):
        brokers.now = now
        assert not topics.refresh(brokers)
    brokers.now = 40.0
    assert topics.refresh(brokers)
    assert topics.names == ["news_a"]


def test_brokers_that_do_not_answer_change_nothing_and_are_not_asked_all_the_time() -> None:
    brokers = Brokers(news_a=1)
    topics = topics_of(brokers, "^news_.*")
    topics.entries(brokers, ClientWatch())
    brokers.away, brokers.now, looks = True, 100.0, brokers.looks
    assert not topics.refresh(brokers)
    assert not topics.refresh(brokers)
    assert brokers.looks == looks + 1
    assert topics.names == ["news_a"]


def test_a_pattern_without_a_topic_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    brokers = Brokers()
    topics = topics_of(brokers, "^news_.*")
    topics.entries(brokers, ClientWatch())
    for now in range(1, 121):
        brokers.now = float(now)
        topics.refresh(brokers)
    told = [one.getMessage() for one in caplog.records]
    assert (
        told
        == ["no topic matches the pattern ^news_.* (input_topics); it is looked for every 10 s"] * 3
    )
    brokers.topics, brokers.now = {"news_a": 1}, 130.0
    assert topics.refresh(brokers)
    assert topics.missing() == ()


def test_names_that_only_begin_as_a_pattern_are_told(caplog: pytest.LogCaptureFixture) -> None:
    brokers = Brokers(news_a=1, news_ab=1)
    caplog.set_level("INFO")
    topics_of(brokers, "^news_[a-z]").entries(brokers, ClientWatch())
    assert "^news_[a-z] does not take in news_ab" in caplog.text
