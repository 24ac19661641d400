"""Outside: a partition that is to be read at an offset outside its log.

What the client says of it may be out of date. It asks a broker about one position, and hands on
the answer without looking whether the partition has been given another position since: librdkafka
(2.16) gives such an event no version. So the event only says that reading has stopped. Where it
stood is known here.
"""

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
        position: offset at which it was to be read, as the client says; None where none is
            committed.
        error: in the client's words.
        cut: offset up to which the log is as it was read, where the client knows.
        reached: the furthest place of this assignment by then; None where nothing was read.
    """

    number: int
    position: int | None
    error: KafkaError
    cut: int | None = None
    reached: int | None = None

    @classmethod
    def heard(
        cls, number: int, offset: int | None, reached: int | None, error: KafkaError
    ) -> Outside:
        """By an event.

        Args:
            offset: what the event gives.
            reached: the furthest place of this assignment.
        """
        said = _CUT.search(error.str())
        if said is not None:
            return cls(number, int(said[1]), error, int(said[2]), reached)
        return cls(number, offset, error, reached=reached)

    def goes_on(self, position: int, low: int, high: int) -> tuple[int, JumpReason | None]:
        """The offset to read on from, and the reason where that is not where reading stood.

        Every message that is there and was not read is read. In a log that was cut, what stands
        before the cut was read, and what was written since was not. A cut at a place that this
        assignment never reached belongs to an earlier topic, and moves nothing.

        Args:
            position: where reading stands; not what an event says.
            low: offset of the first message that is there.
            high: offset after the last one.
        """
        furthest = position if self.reached is None else self.reached
        is_here = self.position is not None and self.position <= furthest
        if self.cut is not None and self.cut < position and is_here:
            return max(low, self.cut), JumpReason.CUT
        if position < low:
            return low, JumpReason.REMOVED
        if position > high:
            return high, JumpReason.CUT
        return position, None
