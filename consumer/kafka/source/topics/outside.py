"""Outside: a partition that is to be read at an offset outside its log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from confluent_kafka import KafkaError

from consumer.contracts.choices import JumpReason

#: What librdkafka (2.16) says of a log that was cut, in words alone: where it was read, and up to
#: which offset it is still as it was read.
_CUT = re.compile(r"truncation detected at offset (\d+)\D.*broker end offset is (\d+)")


@dataclass(frozen=True, slots=True)
class Outside:
    """What the client says of a partition that it no longer reads.

    Attributes:
        number: of the assignment.
        position: offset at which it was to be read; None where none is committed.
        error: in the client's words.
        cut: offset up to which the log is as it was read, where the client knows.
    """

    number: int
    position: int | None
    error: KafkaError
    cut: int | None = None

    @classmethod
    def heard(cls, number: int, offset: int | None, read: int | None, error: KafkaError) -> Outside:
        """By an event.

        Args:
            offset: what the event gives.
            read: where reading stood, if anything was read.
        """
        said = _CUT.search(error.str())
        if said is not None:
            return cls(number, int(said[1]), error, int(said[2]))
        return cls(number, read if offset is None else offset, error)

    def goes_on(self, position: int, low: int, high: int) -> tuple[int, JumpReason | None]:
        """The offset to read on from, and the reason where that is not where reading stood.

        Every message that is there and was not read is read. In a log that was cut, what stands
        before the cut was read, and what was written since was not.

        Args:
            position: where it stood.
            low: offset of the first message that is there.
            high: offset after the last one.
        """
        if self.cut is not None:
            return max(low, min(self.cut, position)), JumpReason.CUT
        if position < low:
            return low, JumpReason.REMOVED
        if position > high:
            return high, JumpReason.CUT
        return position, None
