"""Replay: dead letters go back to where they came from, each once, however often it is begun.

What was sent is kept in the dead-letter topic itself (see `consumer.dead_letters.marks`), in the
transaction that sends. So there is nothing to keep in step: a replay begins by fencing every
earlier one, reads all marks, and sends what has none. An error within is answered in the same way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from consumer.contracts.errors import AbortableError, KafkaProblem, RejectedMessage, RenewalDue
from consumer.contracts.headers import REPLAY_ATTEMPTS
from consumer.contracts.messages import Outgoing, Position, RawMessage, TopicPartition
from consumer.dead_letters.letter import DeadLetter, read_letter
from consumer.dead_letters.marks import mark
from consumer.dead_letters.offset_set import OffsetSet
from consumer.dead_letters.plan import Plan
from consumer.dead_letters.ports import Progress, Reader, Writer
from consumer.dead_letters.report import Report
from consumer.dead_letters.routes import Obstacle
from consumer.dead_letters.survey import MESSAGES, WAIT_S, Survey, read_on
from consumer.dead_letters.waiting import Waiting

#: A transaction ends after so many letters, bytes or seconds, whichever comes first.
_LETTERS, _BYTES, _SECONDS = 1_000, 8 * 1024 * 1024, 1.0

#: Seconds for which errors are answered by another try while nothing is committed.
_PATIENCE_S = 300.0

#: Longest sleep between two looks at whether to stop, and the wait before another try.
_SLICE_S, _BACKOFF_S = 0.1, 1.0


class Stopped(Exception):
    """A signal has come."""


class _Anew(Exception):
    """The transaction is committed, but the next one needs a new producer."""


class _Transaction:
    """The letters of the open transaction, by partition and destination."""

    def __init__(self) -> None:
        self.sent: dict[tuple[int, str], OffsetSet] = {}
        self.letters = 0
        self.bytes = 0

    def add(self, position: Position, to: str, size_bytes: int) -> None:
        """One more letter was sent."""
        key = (position.topic_partition.partition, to)
        self.sent.setdefault(key, OffsetSet()).add(position.offset)
        self.letters += 1
        self.bytes += size_bytes

    def by_topic(self) -> Counter[str]:
        """How many went where."""
        counts: Counter[str] = Counter()
        for (_, to), offsets in self.sent.items():
            counts[to] += len(offsets)
        return counts


class Replay:
    """Sends letters; one thread. `run` once.

    Args:
        reader: of the dead-letter topic.
        writer: under the name that all replays of this topic have, so that there is one at a time.
        survey: of nothing yet.
        stop: asked often; true ends the replay.
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        survey: Survey,
        plan: Plan,
        progress: Progress,
        stop: Callable[[], bool],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._survey = survey
        self._plan = plan
        self._progress = progress
        self._stop = stop
        self._wall_clock = wall_clock
        self._report = Report()
        self._read_to: dict[int, int] = {}
        self._refused: dict[int, OffsetSet] = {}
        self._pending: Mapping[int, OffsetSet] = {}
        self._offered: dict[int, int] = {}
        self._met = 0
        self._transaction = _Transaction()
        self._due_at = 0.0
        self._moved_at = time.monotonic()

    def run(self) -> Report:
        """Send all that is to be sent.

        Raises:
            KafkaProblem: another replay has taken over, or Kafka refuses; what was sent is kept,
                and the same command goes on from there.
        """
        try:
            while not self._session():
                pass
        except Stopped:
            self._report.is_stopped = True
        return self._report

    def _session(self) -> bool:
        """From a look at what was sent to the end, or to an error that a new look makes good."""
        try:
            self._transaction = _Transaction()
            self._writer.open()
            self._look()
            self._send_pending()
        except (_Anew, RenewalDue):
            return False
        except AbortableError as failed:
            self._writer.abort()
            if time.monotonic() - self._moved_at > _PATIENCE_S:
                raise KafkaProblem(
                    f"nothing was sent for {_PATIENCE_S:.0f} s: {failed}; see to the brokers, then "
                    "give the same command again, which sends what is left"
                ) from failed
            self._progress.status(f"{failed}; trying again")
            self._rest(_BACKOFF_S)
            return False
        return True

    # --- What was sent

    def _look(self) -> None:
        """Read the topic: all of it at first, later what has come since.

        To the high watermark, and not to the last stable offset: behind what a worker's open
        transaction holds there may be the mark of an earlier replay.
        """
        first = not self._read_to
        bounds = self._reader.bounds()
        self._reader.start(
            {
                part: (max(self._read_to.get(part, 0), one.begin), one.end)
                for part, one in bounds.items()
            }
        )
        waiting = Waiting(self._reader, self._plan.origin.topic, self._progress)
        # What comes while it is sent is not meant: a letter that is rejected again would circle.
        note = self._survey.note if first else self._survey.note_sent
        for raw in read_on(self._reader, waiting, self._raise_if_stopped):
            note(raw)
        self._read_to = {part: one.end for part, one in bounds.items()}
        self._moved_at = time.monotonic()
        if not first:
            self._count_sent()
        else:
            self._report.tally = self._survey.tally()
            self._report.has_begun = True

    def _count_sent(self) -> None:
        """By the marks: of a transaction whose end was not answered nothing else tells."""
        still = self._survey.tally().to_send
        self._report.sent = Counter()
        for (code, to), count in self._report.tally.to_send.items():
            if sent := count - still.get((code, to), 0):
                self._report.sent[to] += sent

    # --- Sending

    def _send_pending(self) -> None:
        self._pending = {
            part: left
            for part, offsets in self._survey.pending().items()
            if (left := offsets.without(self._refused.get(part, OffsetSet())))
        }
        self._offered = dict.fromkeys(self._pending, 0)
        self._met = 0
        self._move()
        spans = {}
        for part, offsets in self._pending.items():
            begin, last = offsets.first(), offsets.last()
            assert begin is not None
            assert last is not None
            spans[part] = (begin, last + 1)
        self._reader.start(spans)
        waiting = Waiting(self._reader, self._plan.origin.topic, self._progress)
        while self._reader.places:
            for raw in self._reader.poll(MESSAGES, WAIT_S):
                self._offer(raw)
            self._raise_if_stopped()
            waiting.look(quiet=True)
            self._commit_if_due()
        self._commit()
        self._report.gone = sum(len(offsets) for offsets in self._pending.values()) - self._met

    def _offer(self, raw: RawMessage) -> None:
        position = raw.position
        part = position.topic_partition.partition
        self._offered[part] = position.offset
        letter = read_letter(raw) if position.offset in self._pending[part] else None
        if letter is not None:
            self._met += 1
            self._answer(letter)
        # Not before: a commit on the way to it is none of this letter.
        self._offered[part] = position.offset + 1

    def _answer(self, letter: DeadLetter) -> None:
        """Send a letter, or say why not."""
        to = self._plan.routes.destination(letter)
        obstacle = self._plan.routes.obstacle(letter)
        code = self._writer.refused(to, letter.raw.position)
        if obstacle is None and code is not None:
            obstacle = Obstacle(code, f"the topic {to} does not take it")
        if obstacle is None:
            self._send(letter, to)
        else:
            self._refuse(letter, obstacle)

    def _send(self, letter: DeadLetter, to: str) -> None:
        self._await_turn()
        if not self._writer.is_open:
            self._writer.begin()
        raw = letter.raw
        origin = letter.origin.topic_partition
        partition: int | None = None
        if to == origin.topic:
            partition = origin.partition
        elif raw.key is None:
            # As the worker does it, so that the order of what has no key holds.
            partition = origin.partition % self._plan.routes.partitions(to)
        attempts = str(letter.attempts + 1).encode()
        headers = (*letter.headers, (REPLAY_ATTEMPTS, attempts))
        message = Outgoing(
            to, raw.key, raw.value, headers, letter.timestamp_ms, partition, raw.position
        )
        try:
            self._writer.send(message)
        except RejectedMessage as refused:
            self._refuse(letter, Obstacle(refused.code, refused.message))
            return
        self._transaction.add(raw.position, to, raw.size_bytes)
        if self._transaction.letters >= _LETTERS or self._transaction.bytes >= _BYTES:
            self._commit()

    def _refuse(self, letter: DeadLetter, obstacle: Obstacle) -> None:
        part, offset = letter.raw.position.topic_partition.partition, letter.raw.position.offset
        self._refused.setdefault(part, OffsetSet()).add(offset)
        self._report.refusals.add(obstacle, (part, offset))

    def _commit_if_due(self) -> None:
        if self._writer.open_s >= _SECONDS:
            self._commit()

    def _commit(self) -> None:
        """End the transaction, with the marks of what it sends."""
        done, self._transaction = self._transaction, _Transaction()
        if not self._writer.is_open:
            return
        now_ms = int(self._wall_clock() * 1000)
        for (part, to), offsets in done.sent.items():
            one = mark(self._plan.origin, part, to, offsets, now_ms, self._plan.version)
            self._send_mark(one)
        smooth = self._writer.commit()
        self._report.sent.update(done.by_topic())
        self._moved_at = time.monotonic()
        self._move()
        topic = self._plan.origin.topic
        self._writer.settle(
            {TopicPartition(topic, part): offset for part, offset in self._offered.items()}
        )
        if not smooth:
            raise _Anew

    def _send_mark(self, message: Outgoing) -> None:
        try:
            refused = self._writer.refused(message.topic, message.position)
            if refused is not None:
                raise RejectedMessage(refused, str(refused))
            self._writer.send(message)
        except RejectedMessage as reason:
            raise KafkaProblem(
                f"the dead-letter topic {message.topic} does not take the mark of what was sent "
                f"({reason}), so nothing is sent; raise its max.message.bytes to at least 1 MB"
            ) from reason

    def _move(self) -> None:
        self._progress.sending(self._report.sent.total(), sum(self._report.tally.to_send.values()))

    def _await_turn(self) -> None:
        """Sleep as the rate demands; what was sent does not wait with it."""
        if self._plan.rate is None:
            return
        now = time.monotonic()
        # What was missed is made up for a second at most.
        self._due_at = max(self._due_at + 1 / self._plan.rate, now - 1.0)
        while (left_s := self._due_at - time.monotonic()) > 0:
            self._raise_if_stopped()
            if self._writer.open_s + min(left_s, _SECONDS) > _SECONDS:
                self._commit()
            time.sleep(min(left_s, _SLICE_S))

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._raise_if_stopped()
            time.sleep(_SLICE_S)

    def _raise_if_stopped(self) -> None:
        if self._stop():
            raise Stopped
