"""LetterFilter: which dead letters a person means."""

from __future__ import annotations

from dataclasses import dataclass

from consumer.dead_letters.letter import DeadLetter
from consumer.settings.topic_patterns import takes_in


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Everything that is given must hold; an empty field takes in all.

    Attributes:
        codes: why they were rejected, one of these.
        topics: where they came from: names, or patterns that begin with `^`.
        from_ms, until_ms: the message's own timestamp, milliseconds since the epoch; the end is
            not included. A message without a timestamp is in no span of time.
        text: stands in the reason, in capitals or not.
        places: partition and offset in the dead-letter topic.
    """

    codes: frozenset[str] = frozenset()
    topics: tuple[str, ...] = ()
    from_ms: int | None = None
    until_ms: int | None = None
    text: str = ""
    places: frozenset[tuple[int, int]] = frozenset()

    def takes_in(self, letter: DeadLetter) -> bool:
        """Whether the person means this one."""
        if self.codes and letter.code not in self.codes:
            return False
        position = letter.raw.position
        if self.places:
            place = (position.topic_partition.partition, position.offset)
            if place not in self.places:
                return False
        topic = letter.origin.topic_partition.topic
        if self.topics and not any(takes_in(entry, topic) for entry in self.topics):
            return False
        return self._is_in_time(letter.timestamp_ms) and (
            not self.text or self.text.casefold() in letter.reason.casefold()
        )

    def _is_in_time(self, timestamp_ms: int | None) -> bool:
        if self.from_ms is None and self.until_ms is None:
            return True
        if timestamp_ms is None:
            return False
        return (self.from_ms is None or timestamp_ms >= self.from_ms) and (
            self.until_ms is None or timestamp_ms < self.until_ms
        )
