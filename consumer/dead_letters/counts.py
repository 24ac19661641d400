"""Counts: how many dead letters there are, by code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.contracts.headers import is_replay_mark
from consumer.contracts.messages import RawMessage
from consumer.dead_letters.letter import read_letter
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, Sent
from consumer.dead_letters.offset_set import OffsetSet


@dataclass(frozen=True, slots=True)
class CodeCount:
    """The dead letters of one code.

    Attributes:
        letters: how many; unsent: those of them that no replay has sent.
        oldest_ms, newest_ms: of their own timestamps; None where none has one.
        topics: where they came from, the most frequent first.
    """

    code: str
    letters: int
    unsent: int
    oldest_ms: int | None
    newest_ms: int | None
    topics: Sequence[str]


class _Code:
    def __init__(self) -> None:
        self.offsets: dict[int, OffsetSet] = {}
        self.oldest_ms: int | None = None
        self.newest_ms: int | None = None
        self.topics: Counter[str] = Counter()

    def note_time(self, timestamp_ms: int) -> None:
        # 0 is a time like any other.
        self.oldest_ms = min(_given(self.oldest_ms, timestamp_ms))
        self.newest_ms = max(_given(self.newest_ms, timestamp_ms))


def _given(*times_ms: int | None) -> list[int]:
    return [one for one in times_ms if one is not None]


class Counts:
    """Counts what is meant, in one reading and a bit or two a message.

    Args:
        origin: the cluster and the dead-letter topic.
        wanted: which letters are meant.
    """

    def __init__(self, origin: Origin, wanted: LetterFilter) -> None:
        self._sent = Sent(origin)
        self._wanted = wanted
        self._codes: dict[str, _Code] = {}

    def note(self, raw: RawMessage) -> None:
        """One more message of the topic."""
        if is_replay_mark(raw.headers):
            self._sent.read(raw)
            return
        letter = read_letter(raw)
        if letter is None or not self._wanted.takes_in(letter):
            return
        code = self._codes.setdefault(letter.code, _Code())
        part = raw.position.topic_partition.partition
        code.offsets.setdefault(part, OffsetSet()).add(raw.position.offset)
        code.topics[letter.origin.topic_partition.topic] += 1
        if letter.timestamp_ms is not None:
            code.note_time(letter.timestamp_ms)

    def lines(self) -> list[CodeCount]:
        """The most frequent code first."""
        lines = [
            CodeCount(
                name,
                sum(map(len, code.offsets.values())),
                sum(
                    len(offsets.without(self._sent.any(part)))
                    for part, offsets in code.offsets.items()
                ),
                code.oldest_ms,
                code.newest_ms,
                sorted(code.topics, key=lambda topic: (-code.topics[topic], topic)),
            )
            for name, code in self._codes.items()
        ]
        return sorted(lines, key=lambda line: (-line.letters, line.code))
