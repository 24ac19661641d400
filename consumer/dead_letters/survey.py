"""Survey: one reading of a dead-letter topic learns what was sent and what a person means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.contracts.headers import is_replay_mark
from consumer.contracts.messages import RawMessage
from consumer.dead_letters.letter import read_letter
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, Sent
from consumer.dead_letters.offset_set import OffsetSet
from consumer.dead_letters.ports import Reader
from consumer.dead_letters.refusals import Refusals
from consumer.dead_letters.routes import Obstacle, Routes
from consumer.dead_letters.waiting import Waiting

#: Messages taken from the client at once, and seconds that it is waited for some.
MESSAGES, WAIT_S = 500, 0.2


class Sort(NamedTuple):
    """Letters that are counted together: rejected for one reason, for one destination.

    Attributes:
        within_bound: whether they were sent back less often than is allowed.
        obstacle: why they cannot be sent; None where they can.
    """

    code: str
    to: str
    within_bound: bool
    obstacle: Obstacle | None


@dataclass(slots=True)
class Tally:
    """What becomes, or would become, of the dead letters that are meant.

    Attributes:
        to_send: by code and destination.
        barred: those that cannot be sent.
        sent_before: by a replay.
        over_bound: sent back as often as is allowed, and rejected again.
        foreign: messages of the topic that are no dead letters of nerstream's.
    """

    to_send: dict[tuple[str, str], int] = field(default_factory=dict)
    barred: Refusals = field(default_factory=Refusals)
    sent_before: int = 0
    over_bound: int = 0
    foreign: int = 0


class Survey:
    """Knows of each offset what it takes to decide whether to send it; a bit or two for each.

    Args:
        origin: the cluster and the dead-letter topic.
        wanted: which letters are meant.
        routes: where a letter would go.
        max_attempts: how often a letter may be sent back.
        again: topics that a letter may have been sent to before.
    """

    def __init__(
        self,
        origin: Origin,
        wanted: LetterFilter,
        routes: Routes,
        max_attempts: int,
        again: Collection[str] = (),
    ) -> None:
        self.sent = Sent(origin)
        self._wanted = wanted
        self._routes = routes
        self._max_attempts = max_attempts
        self._again = again
        self._found: dict[Sort, dict[int, OffsetSet]] = {}
        self._foreign = 0

    def note(self, raw: RawMessage) -> None:
        """One more message of the topic.

        Raises:
            KafkaProblem: a mark cannot be relied on.
        """
        partition, offset = raw.position.topic_partition.partition, raw.position.offset
        if is_replay_mark(raw.headers):
            self.sent.read(raw)
            return
        letter = read_letter(raw)
        if letter is None:
            self._foreign += 1
        elif self._wanted.takes_in(letter):
            within = letter.attempts < self._max_attempts
            obstacle = self._routes.obstacle(letter) if within else None
            sort = Sort(letter.code, self._routes.destination(letter), within, obstacle)
            offsets = self._found.setdefault(sort, {}).setdefault(partition, OffsetSet())
            offsets.add(offset)

    def note_sent(self, raw: RawMessage) -> None:
        """A message that came after those that are meant: it counts only as a mark."""
        if is_replay_mark(raw.headers):
            self.sent.read(raw)

    def pending(self) -> Mapping[int, OffsetSet]:
        """What is to be sent, or to be refused, by partition."""
        found: dict[int, OffsetSet] = {}
        for sort, partition, offsets in self._by_sort():
            if sort.within_bound:
                left = offsets.without(self.sent.blocking(partition, sort.to, self._again))
                if left:
                    found.setdefault(partition, OffsetSet()).update(left)
        return found

    def tally(self) -> Tally:
        """The same in numbers, as of now."""
        tally = Tally(foreign=self._foreign)
        for sort, partition, offsets in self._by_sort():
            left = offsets.without(self.sent.blocking(partition, sort.to, self._again))
            count, first = len(left), left.first()
            tally.sent_before += len(offsets) - count
            if not sort.within_bound:
                tally.over_bound += count
            elif first is None:
                continue
            elif sort.obstacle is not None:
                tally.barred.add(sort.obstacle, (partition, first), count)
            else:
                key = (sort.code, sort.to)
                tally.to_send[key] = tally.to_send.get(key, 0) + count
        return tally

    def _by_sort(self) -> Iterator[tuple[Sort, int, OffsetSet]]:
        for sort, partitions in self._found.items():
            for partition, offsets in partitions.items():
                yield sort, partition, offsets


def read_on(
    reader: Reader, waiting: Waiting, each: Callable[[], None] = lambda: None
) -> Iterator[RawMessage]:
    """All messages to the ends that the reader was started with.

    Args:
        waiting: of this start.
        each: called after every look, also one that brought nothing; may raise to end it.

    Raises:
        KafkaProblem: reading cannot go on, or nothing comes any more.
    """
    while reader.places:
        yield from reader.poll(MESSAGES, WAIT_S)
        each()
        waiting.look()
