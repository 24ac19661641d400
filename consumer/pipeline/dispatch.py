"""Dispatcher: turns outcomes into messages, also where Kafka refuses one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import KafkaProblem, RejectedMessage
from consumer.contracts.messages import (
    Outcome,
    Outgoing,
    RawMessage,
    Rejected,
    TaggedArticle,
    Tombstone,
    Unchanged,
    Untagged,
    made,
)
from consumer.contracts.ports import Serializer, Sink
from consumer.pipeline.dead_letters import dead_letter

#: The text of a rejection, by the reason for which the broker refused the message.
_REFUSALS: Mapping[RejectCode, str] = {
    RejectCode.TOO_LARGE: (
        "the message for {topic} is larger than that topic takes; raise its max.message.bytes"
    ),
    RejectCode.TIMESTAMP_REFUSED: (
        "the topic {topic} does not take the timestamp of the message; raise its "
        "message.timestamp.after.max.ms or message.timestamp.before.max.ms to those of the "
        "input topic"
    ),
    RejectCode.RECORD_REFUSED: (
        "the topic {topic} does not take the message; a compacted topic takes none without a key"
    ),
}

#: What gets `entities` and `tagging`. By its name, since a union that is written out is made anew
#: for every message, which takes longer than to ask.
_ENCODED = (TaggedArticle, Untagged)


@dataclass(frozen=True, slots=True)
class Route:
    """Where outcomes go and what they say of their origin."""

    output_topic: str
    dead_letter_topic: str
    version: str


class Dispatcher:
    """Sends the message of each outcome through the sink.

    Args:
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self, sink: Sink, serializer: Serializer, route: Route, wall_clock: Callable[[], float]
    ) -> None:
        self._sink = sink
        self._serializer = serializer
        self._route = route
        self._wall_clock = wall_clock

    def send(self, outcome: Outcome) -> Outcome:
        """Send an outcome's message, or its dead letter where the message cannot be written.

        Returns:
            The outcome in the end: `Rejected` where a dead letter was sent.

        Raises:
            AbortableError, KafkaProblem: as `Sink.send`.
        """
        if isinstance(outcome, Rejected):
            self._send_dead_letter(outcome)
            return outcome
        try:
            self._send_to(self._route.output_topic, self._enriched(outcome))
            return outcome
        except RejectedMessage as reason:
            rejected = Rejected(
                outcome.raw, RejectCode(reason.code), reason.message, RejectStage.PUBLISH
            )
        self._send_dead_letter(rejected)
        return rejected

    def _send_dead_letter(self, rejected: Rejected) -> None:
        topic = self._route.dead_letter_topic
        raw = rejected.raw
        letter = dead_letter(rejected, topic, self._partition(raw, topic), self._route.version)
        if raw.trace is not None:
            letter = letter._replace(headers=raw.trace.sending(topic, letter.headers))
        try:
            self._send_to(topic, letter)
        except RejectedMessage as reason:
            if reason.code == RejectCode.TIMESTAMP_REFUSED:
                # Written without it; the header `timestamp` still says which it was.
                self._sink.send(letter._replace(timestamp_ms=None))
                return
            if reason.code == RejectCode.RECORD_REFUSED:
                remedy = "it must not be compacted, since messages may come without a key"
            else:
                remedy = (
                    "raise its max.message.bytes above that of the input topics, with some room "
                    "for the headers that say why"
                )
            raise KafkaProblem(
                f"the dead-letter topic {topic} does not take the message at {raw.position} "
                f"({raw.size_bytes} bytes): {remedy}"
            ) from reason

    def _send_to(self, topic: str, message: Outgoing) -> None:
        """Send a message, unless the broker refused it before its input was read again."""
        code = self._sink.refused(topic, message.position)
        if code is not None:
            raise RejectedMessage(code, _REFUSALS[code].format(topic=topic))
        self._sink.send(message)

    def _enriched(self, outcome: TaggedArticle | Untagged | Unchanged | Tombstone) -> Outgoing:
        raw = outcome.raw
        value = raw.value
        if isinstance(outcome, _ENCODED):
            value = self._serializer.encode(outcome, int(self._wall_clock() * 1000))
        topic = self._route.output_topic
        partition = None if raw.key is not None else self._partition(raw, topic)
        headers = raw.headers if raw.trace is None else raw.trace.sending(topic, raw.headers)
        return made(
            Outgoing, (topic, raw.key, value, headers, raw.timestamp_ms, partition, raw.position)
        )

    def _partition(self, raw: RawMessage, topic: str) -> int | None:
        """Without a key the input's partition decides, so that its order holds."""
        if raw.key is not None:
            return None
        return raw.position.topic_partition.partition % self._sink.partition_count(topic)


class WatchedDispatcher(Dispatcher):
    """A dispatcher that tells what it sent.

    Args:
        sent: told of each outcome whose message was handed to the sink, as it was in the end; it
            must be quick and never raise. What it is told may still be aborted, and come again.
    """

    def __init__(
        self,
        sink: Sink,
        serializer: Serializer,
        route: Route,
        wall_clock: Callable[[], float],
        sent: Callable[[Outcome], None],
    ) -> None:
        super().__init__(sink, serializer, route, wall_clock)
        self._sent = sent

    def send(self, outcome: Outcome) -> Outcome:
        """As `Dispatcher.send`."""
        in_the_end = super().send(outcome)
        self._sent(in_the_end)
        return in_the_end
