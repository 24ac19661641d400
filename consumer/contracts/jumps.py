"""Why reading of a partition could not go on where it stood."""

from __future__ import annotations

from enum import StrEnum


class JumpReason(StrEnum):
    """What became of the place at which a partition was read."""

    RECREATED = "recreated"  # the topic was deleted and made again: another topic of that name
    REMOVED = "removed"  # retention or DeleteRecords went past it before it was read
    CUT = "cut"  # it lies beyond the end: a leader without the newest messages was elected
