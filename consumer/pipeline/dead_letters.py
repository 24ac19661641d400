"""Dead letters: how a rejected message is written, and when too many of them stop the worker."""

from __future__ import annotations

from collections import Counter, deque

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import DeadLetterLimitExceeded
from consumer.contracts.headers import ERRORS
from consumer.contracts.messages import Outgoing, Rejected


def dead_letter(rejected: Rejected, topic: str, partition: int | None, version: str) -> Outgoing:
    """The dead letter of a rejected message: its bytes, key and headers, and the reason.

    Headers of an earlier rejection, which a replayed message may carry, are replaced.

    Args:
        topic: the dead-letter topic.
        partition: a fixed partition, or None where the key decides.
        version: nerstream's.
    """
    raw = rejected.raw
    reasons = {
        "code": rejected.code.value,
        "message": rejected.message,
        "stage": rejected.stage.value,
        "topic": raw.position.topic_partition.topic,
        "partition": str(raw.position.topic_partition.partition),
        "offset": str(raw.position.offset),
        "timestamp": "" if raw.timestamp_ms is None else str(raw.timestamp_ms),
        "version": version,
    }
    kept = tuple(header for header in raw.headers if not header[0].startswith(ERRORS))
    added = tuple(
        # A message quotes from the input, which may hold lone surrogates.
        (ERRORS + name, text.encode("utf-8", "backslashreplace"))
        for name, text in reasons.items()
    )
    return Outgoing(
        topic=topic,
        key=raw.key,
        value=raw.value,
        headers=kept + added,
        timestamp_ms=raw.timestamp_ms,
        partition=partition,
        position=raw.position,
    )


class DeadLetterLimit:
    """Stops the worker before a broken producer moves a whole topic to the dead letters.

    Args:
        max_ratio: `dead_letter_max_ratio`.
        window: `dead_letter_window_messages`; nothing is judged before so many were seen.
    """

    def __init__(self, max_ratio: float, window: int) -> None:
        self._max_ratio = max_ratio
        self._window = window
        self._seen = 0
        # For each rejected message of the window: its number, and its code. The messages themselves
        # may be large.
        self._recent: deque[tuple[int, RejectCode]] = deque()
        self._last = ""

    def note(self, rejected: Rejected | None) -> None:
        """One more message has its outcome; `rejected` is None for a good one.

        Raises:
            DeadLetterLimitExceeded: the share over the window is above the limit.
        """
        self._seen += 1
        recent = self._recent
        if recent and recent[0][0] <= self._seen - self._window:
            recent.popleft()
        if rejected is not None:
            recent.append((self._seen, rejected.code))
            self._last = f"{rejected.raw.position}: {rejected.message}"
        count = len(recent)
        if count > self._max_ratio * self._window and self._seen >= self._window:
            by_code = Counter(code for _, code in recent)
            codes = ", ".join(f"{code} {n}" for code, n in by_code.most_common())
            raise DeadLetterLimitExceeded(
                f"{count} of the last {self._window} messages were rejected ({codes}), more than "
                f"dead_letter_max_ratio={self._max_ratio:g} allows; the last one, "
                f"{self._last}. Mend the producer upstream, or raise "
                "dead_letter_max_ratio to let them through"
            )
