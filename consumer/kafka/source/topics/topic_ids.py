"""TopicIds: asks the brokers for the ids of topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from confluent_kafka import KafkaException, TopicCollection

from consumer.kafka.errors import UNKNOWN_TOPIC, error_of

#: The id in answers of brokers that tell none: those before Apache Kafka 2.8.
_NO_ID = "A" * 22

#: Seconds after which a question without an answer is given up.
_REQUEST_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


class Question:
    """One question under way. Any thread.

    Args:
        answers: the client's, by topic.
    """

    def __init__(self, answers: Mapping[str, Future[Any]]) -> None:
        self._answers = answers
        self.topics = frozenset(answers)

    @property
    def done(self) -> bool:
        """Whether `answer` would not wait."""
        return all(one.done() for one in self._answers.values())

    def answer(self, timeout_s: float = 0.0) -> Mapping[str, str] | None:
        """The id of each topic, empty where brokers have none; a topic that does not exist is left
        out. None where no answer came.
        """
        deadline = time.monotonic() + timeout_s
        ids = {}
        for topic, coming in self._answers.items():
            try:
                found = coming.result(max(deadline - time.monotonic(), 0.0))
            except NotYet:
                return None
            except KafkaException as failed:
                if error_of(failed).code() in UNKNOWN_TOPIC:
                    continue
                _log.debug("the id of the topic %s is not known: %s", topic, failed)
                return None
            topic_id = str(found.topic_id)
            ids[topic] = "" if topic_id == _NO_ID else topic_id
        return ids


class TopicIds:
    """Asks for the ids that brokers give to topics. An id stands for one topic for ever: a topic
    that is made again under the same name gets another one (KIP-516).

    Args:
        client: gives the admin client to ask with.
    """

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def ask(self, topics: Collection[str]) -> Question:
        """Begin a question. Any thread."""
        asked = TopicCollection(sorted(topics))
        return Question(self._client().describe_topics(asked, request_timeout=_REQUEST_TIMEOUT_S))

    def find_who_tells(self, timeout_s: float) -> bool:
        """Have the client learn which broker answers such questions. Returns whether one may.

        The client asks the broker that it takes for the controller. Where that one is gone it waits
        until it hears of another, which this call makes it do. librdkafka's mock cluster names
        none.
        """
        try:
            found = self._client().list_topics(timeout=timeout_s)
        except KafkaException:
            return True
        return found.controller_id in found.brokers
