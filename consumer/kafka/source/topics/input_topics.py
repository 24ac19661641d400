"""InputTopics: the topics to read, those that match a pattern included."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import OPEN_TIMEOUT_S, ClientWatch, answered
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import begins_as, is_pattern, takes_in

_log = logging.getLogger(__name__)

#: Longest wait, in seconds, for the brokers' topics while the worker runs.
_LOOK_S = 2.0

#: Seconds for which a topic may be away before it is given up: brokers that have just started know
#: nothing of their topics for a moment.
_AWAY_S = 30.0

#: Seconds between two warnings that a pattern takes in nothing.
_WARN_S = 60.0

#: Names that a log line tells at most.
_NAMES = 10


class InputTopics:
    """Matches the patterns of `input_topics` with the brokers' topics, again and again. Owned by
    the poll thread; any thread may call `missing`.

    Args:
        settings: `input_topics` and `topic_discovery_interval_s`.
        clock: seconds, monotonic.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._named = [one for one in settings.input_topics if not is_pattern(one)]
        self._patterns = [one for one in settings.input_topics if is_pattern(one)]
        self._seen_at: dict[str, float] = {}
        self._due_at = 0.0
        self._warn_at = 0.0
        self._missing: tuple[str, ...] = ()

    @property
    def named(self) -> Mapping[str, str]:
        """The topics that must exist, and the setting that names them."""
        return dict.fromkeys(self._named, "input_topics")

    @property
    def names(self) -> list[str]:
        """The topics to read, named or taken in by a pattern, each once."""
        return sorted({*self._named, *self._seen_at})

    def missing(self) -> tuple[str, ...]:
        """What is not there to be read, in words. Any thread."""
        return self._missing

    def entries(self, client: Any, watch: ClientWatch) -> list[tuple[TopicPartition, ...]]:
        """The partitions of each entry of `input_topics` as they are now; blocks.

        Args:
            client: to ask with.
            watch: its errors.

        Raises:
            KafkaProblem: no broker answers, or access is denied.
        """
        deadline = self._clock() + OPEN_TIMEOUT_S

        def topics_of(*names: str) -> Mapping[str, Any]:
            found: Mapping[str, Any] = answered(
                lambda left_s: client.list_topics(*names, timeout=left_s).topics,
                *(client, watch, self._settings, deadline),
            )
            return found

        known = topics_of() if self._patterns else {}
        for name in self._named:
            known = {**known, **topics_of(name)}
        if self._patterns:
            self._apply(known)
            self._tell_others(known)
        return [
            tuple(
                TopicPartition(topic, partition)
                for topic in known
                if takes_in(entry, topic)
                for partition in known[topic].partitions
            )
            for entry in self._settings.input_topics
        ]

    def refresh(self, client: Any) -> bool:
        """Look for topics when it is time. Returns whether the topics to read have changed."""
        if not self._patterns or self._clock() < self._due_at:
            return False
        before = self.names
        try:
            self._apply(client.list_topics(timeout=_LOOK_S).topics)
        except KafkaException as failed:
            self._due_at = self._clock() + self._settings.topic_discovery_interval_s
            _log.debug("the topics are not known: %s", failed)
        return before != self.names

    def _apply(self, known: Iterable[str]) -> None:
        now = self._clock()
        self._due_at = now + self._settings.topic_discovery_interval_s
        for topic in known:
            if any(takes_in(pattern, topic) for pattern in self._patterns):
                if topic not in self._seen_at:
                    _log.info("the topic %s is taken in by a pattern", topic)
                self._seen_at[topic] = now
        for topic in [one for one, seen_at in self._seen_at.items() if now - seen_at > _AWAY_S]:
            _log.warning("the topic %s is gone; it was taken in by a pattern", topic)
            del self._seen_at[topic]
        self._missing = tuple(
            f"no topic matches the pattern {pattern} (input_topics)"
            for pattern in self._patterns
            if not any(takes_in(pattern, topic) for topic in self._seen_at)
        )
        if self._missing and now >= self._warn_at:
            self._warn_at = now + _WARN_S
            _log.warning(
                "%s; it is looked for every %g s",
                *("; ".join(self._missing), self._settings.topic_discovery_interval_s),
            )

    def _tell_others(self, known: Iterable[str]) -> None:
        """Name topics that a person may have meant who takes patterns for prefixes."""
        for pattern in self._patterns:
            others = sorted(topic for topic in known if begins_as(pattern, topic))
            if others:
                _log.info(
                    "a pattern is for whole names: %s does not take in %s%s",
                    *(pattern, ", ".join(others[:_NAMES]), " ..." if others[_NAMES:] else ""),
                )
