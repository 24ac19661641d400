"""Waiting: a reading that does not come to its end is told, and ended in the end."""

from __future__ import annotations

import time

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters.ports import Progress, Reader

#: Seconds without progress in reading after which a person is told; and after which it ends. No
#: transaction is open for longer than 15 minutes, unless the brokers are set up otherwise.
_TOLD_S, _HUNG_S = 3.0, 960.0

#: The same where no transaction can hold it up, but only what was taken back, which is read and not
#: shown.
_SILENT_S = 300.0


class Waiting:
    """Tells of a reading that does not come to its end, and ends it in the end.

    Args:
        reader: started.
        topic: that it reads.
        is_stable: whether it reads up to the last stable offset and no farther.
    """

    def __init__(
        self, reader: Reader, topic: str, progress: Progress, *, is_stable: bool = False
    ) -> None:
        self._reader = reader
        self._topic = topic
        self._progress = progress
        self._is_stable = is_stable
        self._left = reader.left
        self._since = time.monotonic()
        self._is_told = False

    def look(self, quiet: bool = False) -> None:
        """To be called after every poll, and after what came of it is dealt with.

        Raises:
            KafkaProblem: nothing has come for too long.
        """
        left, now = self._reader.left, time.monotonic()
        if left != self._left:
            self._left, self._since, self._is_told = left, now, False
        if not quiet:
            self._progress.reading(left)
        where = ", ".join(f"{self._topic}[{part}] at {at}" for part, at in self._parts())
        silent_s = now - self._since
        if self._is_stable and silent_s > _SILENT_S:
            raise KafkaProblem(
                f"nothing has come of {where} for {_SILENT_S:.0f} s: its broker does not answer; "
                "see whether it is well, then give the same command again"
            )
        if silent_s > _HUNG_S:
            raise KafkaProblem(
                f"cannot read on in {where} for {_HUNG_S:.0f} s: a transaction is open there that "
                "nobody ends; kafka-transactions.sh find-hanging finds it, and abort ends it"
            )
        if silent_s > _TOLD_S and not self._is_told:
            self._is_told = True
            why = "" if self._is_stable else "a transaction is open there, or "
            self._progress.status(f"waiting for {where}: {why}its broker does not answer")

    def _parts(self) -> list[tuple[int, int]]:
        return sorted(self._reader.places.items())[:3]
