"""What a replay is to do: which letters go where, under which name."""

from __future__ import annotations

from dataclasses import dataclass

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters.letter import DeadLetter
from consumer.dead_letters.marks import Origin
from consumer.dead_letters.ports import Reader
from consumer.dead_letters.survey import Survey


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with the letters that are meant.

    Attributes:
        origin: the cluster and the dead-letter topic.
        to: the topic for all; None sends each to where it came from.
        rate: letters a second at most; None for as fast as it goes.
        version: nerstream's.
    """

    origin: Origin
    to: str | None
    rate: float | None
    version: str

    def destination(self, letter: DeadLetter) -> str:
        """The topic that a letter goes to."""
        return letter.origin.topic_partition.topic if self.to is None else self.to


def transactional_id(dead_letter_topic: str) -> str:
    """The name that all replays of one topic write under, whatever their settings, so that there
    is one of them at a time."""
    return f"nerstream.replay@{dead_letter_topic}"


def destinations(reader: Reader, survey: Survey) -> dict[str, int]:
    """The partitions of each topic that letters would go to.

    Raises:
        KafkaProblem: there is no such topic.
    """
    counts = {}
    for topic, letters in survey.destinations().items():
        counts[topic] = reader.partition_count(topic)
        if not counts[topic]:
            told = "1 dead letter" if letters == 1 else f"{letters:,} dead letters"
            raise KafkaProblem(
                f"there is no topic {topic}, to which {told} would go; create it, name another "
                "one with --to, or leave them out with --topic"
            )
    return counts
