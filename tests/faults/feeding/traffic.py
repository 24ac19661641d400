"""Traffic: the numbered messages of a run, and what must become of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.integration.rigs.helpers import Record

#: Header with the number of a message: what its outcome is known by, whatever its bytes are.
NUMBER_HEADER = "number"

#: Prefix of the headers in which a dead letter says where it comes from, and why.
REASONS = "__nerstream.errors."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    Attributes:
        kind: `enriched`, `tombstone`, or the code of a dead letter.
        record: as read from the output or the dead-letter topic.
    """

    kind: str
    record: Record


class Traffic(Protocol):
    """Numbered messages; number `n` goes to partition `n % partitions`."""

    @property
    def messages(self) -> int:
        """How many, numbered from nought."""
        ...

    def record(self, number: int) -> Record:
        """One of them, the same each time it is asked for; `NUMBER_HEADER` holds its number."""
        ...

    def judge(self, sent: Record, outcome: Outcome) -> Sequence[str]:
        """What is wrong with the outcome of a message: `sort of fault: what was found`.

        Args:
            sent: the message, with its partition and offset in the input topic.
        """
        ...


def placed(record: Record, number: int, partitions: int) -> Record:
    """The message with the partition and the offset that it has in the input topic."""
    offset, partition = divmod(number, partitions)
    return dataclasses.replace(record, partition=partition, offset=offset)
