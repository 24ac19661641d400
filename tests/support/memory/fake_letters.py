"""A dead-letter topic in memory, with the reader and the writer that a replay needs."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Mapping

from consumer.contracts.choices import RejectCode
from consumer.contracts.cluster import Bounds
from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.contracts.messages import Outgoing, Position, RawMessage, TopicPartition
from tests.support.memory.letters import at


class FakeTopics:
    """Logs of committed messages; a dead-letter topic of some partitions among them."""

    def __init__(self, dead: str = "dead", partitions: int = 2) -> None:
        self.dead = dead
        self.log: dict[int, list[RawMessage]] = {part: [] for part in range(partitions)}
        #: What was sent to other topics, in order.
        self.sent: list[Outgoing] = []
        self.counts: dict[str, int | None] = defaultdict(lambda: 4)
        self.epoch = 0
        #: Offsets that retention has removed.
        self.removed: dict[int, int] = dict.fromkeys(self.log, 0)

    def put(self, message: Outgoing) -> Position:
        """Append to the dead-letter topic, in the message's partition."""
        assert message.partition is not None
        log = self.log[message.partition]
        raw = at(message, len(log))
        log.append(raw)
        return raw.position

    def by_number(self) -> list[int]:
        """The numbers of what was sent, in order."""
        return [int(dict(one.headers)["n"] or b"-1") for one in self.sent]


class FakeReader:
    """Reads the dead-letter topic."""

    def __init__(self, topics: FakeTopics, at_once: int = 3) -> None:
        self._topics = topics
        self._at_once = at_once
        self._spans: dict[int, tuple[int, int]] = {}
        #: Topics whose partitions were asked for.
        self.asked: list[str] = []
        #: Called before each poll.
        self.before_poll: Callable[[], None] = lambda: None

    def bounds(self) -> Mapping[int, Bounds]:
        return {
            part: Bounds(self._topics.removed[part], len(log), len(log))
            for part, log in self._topics.log.items()
        }

    def partition_count(self, topic: str) -> int | None:
        self.asked.append(topic)
        return self._topics.counts[topic]

    def start(self, spans: Mapping[int, tuple[int, int]]) -> None:
        self._spans = {part: span for part, span in spans.items() if span[0] < span[1]}

    @property
    def places(self) -> Mapping[int, int]:
        return {part: begin for part, (begin, _) in self._spans.items()}

    @property
    def left(self) -> int:
        return sum(end - begin for begin, end in self._spans.values())

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        assert max_messages > 0
        assert timeout_s > 0
        self.before_poll()
        taken: list[RawMessage] = []
        for part, (begin, end) in list(self._spans.items()):
            begin = max(begin, self._topics.removed[part])
            stop = min(begin + self._at_once, end)
            taken += self._topics.log[part][begin:stop]
            if stop >= end:
                del self._spans[part]
            else:
                self._spans[part] = (stop, end)
        return taken


class FakeWriter:
    """Writes in transactions; the one that opened last is the only one that can write.

    Attributes:
        fail: what the calls of `commit` do, in their order, before or instead of their work:
            `lose` neither commits nor answers, `hide` commits and does not answer, `rough` commits
            and says that it was not smooth; anything else is a smooth commit.
        refuses: for a topic, numbers that the broker does not take.
    """

    def __init__(self, topics: FakeTopics) -> None:
        self._topics = topics
        self._epoch = -1
        self._waiting: list[Outgoing] | None = None
        self._clock = itertools.count()
        self.fail: deque[str] = deque()
        self.refuses: dict[str, set[Position]] = defaultdict(set)
        self._known: set[tuple[str, Position]] = set()
        self.opened = 0
        self.transactions: list[list[Outgoing]] = []
        self.open_s = 0.0

    def open(self) -> None:
        self._waiting = None
        self._topics.epoch += 1
        self._epoch = self._topics.epoch
        self.opened += 1

    def begin(self) -> None:
        self._check()
        assert self._waiting is None
        self._waiting = []

    @property
    def is_open(self) -> bool:
        return self._waiting is not None

    def send(self, message: Outgoing) -> None:
        self._check()
        assert self._waiting is not None, "no transaction"
        self._waiting.append(message)

    def commit(self) -> bool:
        self._check()
        assert self._waiting is not None, "no transaction"
        for one in self._waiting:
            if one.position in self.refuses[one.topic]:
                self._known.add((one.topic, one.position))
                raise AbortableError("a message is too large")
        how = self.fail.popleft() if self.fail else ""
        if how == "lose":
            raise AbortableError("no answer")
        done, self._waiting = self._waiting, None
        self.transactions.append(done)
        for one in done:
            if one.topic == self._topics.dead:
                self._topics.put(one)
            else:
                self._topics.sent.append(one)
        if how == "hide":
            raise AbortableError("no answer")
        return how != "rough"

    def abort(self) -> None:
        self._check()
        self._waiting = None

    def settle(self, offsets: Mapping[TopicPartition, int]) -> None:
        assert all(one.topic == self._topics.dead for one in offsets)

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        return RejectCode.TOO_LARGE if (topic, position) in self._known else None

    def _check(self) -> None:
        if self._epoch != self._topics.epoch:
            raise KafkaProblem("another replay has begun")


class FakeProgress:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []
        self.told: list[str] = []

    def reading(self, left: int) -> None:
        assert left >= 0

    def sending(self, sent: int, total: int) -> None:
        self.shown.append((sent, total))

    def status(self, text: str) -> None:
        self.told.append(text)
