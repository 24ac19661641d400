"""Waiting: a reading that does not come to its end is told, and ended in the end."""

from __future__ import annotations

import time

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters.ports import Progress, Reader

#: Seconds without progress in reading after which a person is told; and after which it ends. No
#: transaction is open for longer than 15 minutes, unless the brokers are set up otherwise.
_TOLD_S, _HUNG_S = 3.0, 960.0


class Waiting:
    """Tells of a reading that does not come to its end, and ends it in the end."""

    def __init__(self, reader: Reader, topic: str, progress: Progress) -> None:
        self._reader = reader
        self._topic = topic
        self._progress = progress
        self._left = reader.left
        self._since = time.monotonic()
        self._is_told = False

    def look(self, quiet: bool = False) -> None:
        """To be called after every poll."""
        left, now = self._reader.left, time.monotonic()
        if left != self._left:
            self._left, self._since, self._is_told = left, now, False
        if not quiet:
            self._progress.reading(left)
        where = ", ".join(f"{self._topic}[{part}] at {at}" for part, at in self._parts())
        if now - self._since > _HUNG_S:
            raise KafkaProblem(
                f"cannot read on in {where} for {_HUNG_S:.0f} s: a transaction is open there that "
                "nobody ends; kafka-transactions.sh find-hanging finds it, and abort ends it"
            )
        if now - self._since > _TOLD_S and not self._is_told:
            self._is_told = True
            self._progress.status(
                f"waiting for {where}: a transaction is open there, or its broker does not answer"
            )

    def _parts(self) -> list[tuple[int, int]]:
        return sorted(self._reader.places.items())[:3]
