"""Routes: where dead letters go, and which of them cannot go there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.ports import TAKEN_FOR_NOW_MS
from consumer.dead_letters.letter import DeadLetter
from consumer.settings.values import is_topic_name

#: The brokers' own topics, which take nothing from clients.
_INTERNAL = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})

#: Characters of a name that is none, of which there may be any number.
_SHOWN = 60


class Obstacle(NamedTuple):
    """Why a letter cannot be sent.

    Attributes:
        code: for a program.
        why: what is wrong and what would be right, for a person; the same for all letters that
            one thing stands in the way of.
    """

    code: str
    why: str


class Routes:
    """Decides for each letter by itself, so that one that cannot be sent stops no other.

    Args:
        dead_letter_topic: where the letters are.
        to: the topic for all; None sends each to where it came from.
        partition_count: the partitions of a topic, 0 where there is none of this name, None where
            this user may not see it or write to it; asked once a topic.
    """

    def __init__(
        self,
        dead_letter_topic: str,
        to: str | None,
        partition_count: Callable[[str], int | None],
    ) -> None:
        self._dead_letter_topic = dead_letter_topic
        self._to = to
        self._partition_count = partition_count
        self._counts: dict[str, int] = {}
        self._barred: dict[str, Obstacle] = {}

    def require(self) -> None:
        """See that the topic for all is there, if there is one.

        Raises:
            KafkaProblem: nothing can be sent to it.
        """
        if self._to is not None and (obstacle := self._of_topic(self._to)) is not None:
            raise KafkaProblem(obstacle.why)

    def destination(self, letter: DeadLetter) -> str:
        """The topic that a letter goes to, or would go to."""
        return letter.origin.topic_partition.topic if self._to is None else self._to

    def partitions(self, topic: str) -> int:
        """Of a topic that a letter without an obstacle goes to."""
        return self._counts[topic]

    def obstacle(self, letter: DeadLetter) -> Obstacle | None:
        """Why a letter cannot be sent; None where it can, as far as is known before."""
        to = self.destination(letter)
        found = self._of_topic(to) or _of_timestamp(letter.timestamp_ms)
        if found is not None:
            return found
        origin = letter.origin.topic_partition
        count = self._counts[to]
        if to == origin.topic and origin.partition >= count:
            return Obstacle(
                "no_partition",
                f"the partition of {to} where it came from is gone, there is only 0 to "
                f"{count - 1}; name a topic with --to",
            )
        return None

    def _of_topic(self, topic: str) -> Obstacle | None:
        if topic not in self._counts and topic not in self._barred:
            found = self._by_name(topic)
            count = 0
            if found is None:
                count, found = self._asked(topic)
            if found is None:
                self._counts[topic] = count
            else:
                self._barred[topic] = found
        return self._barred.get(topic)

    def _by_name(self, topic: str) -> Obstacle | None:
        if not is_topic_name(topic):
            shown = topic if len(topic) <= _SHOWN else f"{topic[:_SHOWN]}…"
            return Obstacle(
                "wrong_topic",
                f'"{shown}", where it came from, is no name of a topic, so that no worker of '
                "nerstream's has written it; name a topic with --to",
            )
        if topic == self._dead_letter_topic:
            return Obstacle(
                "wrong_topic",
                f"it came from {topic}, which is the dead-letter topic itself, where what is sent "
                "back is no dead letter any more; name a topic with --to",
            )
        if topic in _INTERNAL:
            return Obstacle(
                "wrong_topic",
                f"{topic} is a topic of the brokers' own, which takes nothing from others; name "
                "another one with --to",
            )
        return None

    def _asked(self, topic: str) -> tuple[int, Obstacle | None]:
        count = self._partition_count(topic)
        if count is None:
            return 0, Obstacle(
                "no_access",
                f"this user may not write the topic {topic}, if there is one; allow it Describe "
                "and Write, or name another topic with --to",
            )
        if not count:
            return 0, Obstacle(
                "no_topic",
                f"there is no topic {topic}; create it, name another one with --to, or leave its "
                "letters out with --topic",
            )
        return count, None


def _of_timestamp(timestamp_ms: int | None) -> Obstacle | None:
    if timestamp_ms is None:
        return None
    leaves_out = "leaves it out, and also letters without a timestamp"
    if timestamp_ms == TAKEN_FOR_NOW_MS:
        return Obstacle(
            RejectCode.TIMESTAMP_REFUSED,
            f"its timestamp is 0, which the client cannot write; --from 1970-01-02 {leaves_out}",
        )
    if not -(2**63) <= timestamp_ms < 2**63:
        bound = "--until 9999-12-31" if timestamp_ms > 0 else "--from 1970-01-02"
        return Obstacle(
            RejectCode.TIMESTAMP_REFUSED,
            "its timestamp has more than 64 bits, which no message of Kafka's can have; "
            f"{bound} {leaves_out}",
        )
    return None
