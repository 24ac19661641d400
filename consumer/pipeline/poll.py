"""PollStage: reads Kafka into `incoming` and nothing else; a slow model never costs membership."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from consumer.contracts.choices import JumpReason, Queue, RebalanceEvent, Step
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Source
from consumer.contracts.runs import RunProgress
from consumer.contracts.traces import Tracer
from consumer.pipeline.bookkeeping.idle_offsets import IdleOffsets
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.offsets import Rewind
from consumer.pipeline.bookkeeping.ownership import Ownership, lags
from consumer.pipeline.bookkeeping.run_pace import RunPace, at_end
from consumer.pipeline.channel import Channel
from consumer.pipeline.inbox import Assigned, Idle, Lost, PublishMessage, Revoked
from consumer.pipeline.stage import Stage

#: Messages taken from the client at once; with more, the first of them would only wait longer.
POLL_MESSAGES = 500
#: Longest wait for a message; bounds how late a rewind or a stop is noticed.
POLL_S = 0.1
#: The same while paused, when a resume may be due at any moment.
PAUSED_POLL_S = 0.01
#: Seconds for which reading merely stops at the in-flight bound before the partitions are paused;
#: `pause_after_s` adds to it.
PAUSE_AFTER_S = 0.2
#: The longest such stop, in seconds; nothing is heard of the group meanwhile.
LONGEST_STOP_S = 5.0
#: How often room is looked for until then.
ROOM_S = 0.005
#: How often the source serves other threads while a revoke waits for the last commit.
SERVE_S = 0.005
#: How often lag and freshness are reported.
LAG_INTERVAL_S = 1.0
#: How often a bounded run is looked at.
RUN_INTERVAL_S = 0.25

log = structlog.get_logger(__name__)


def pause_after_s(commit_interval_s: float) -> float:
    """Seconds at the in-flight bound after which the partitions are paused.

    A pause throws away the megabytes that the client has fetched ahead, and after it the client
    waits up to half a second before it fetches again. Quick stages are often held up only by an
    open transaction, until its commit. A pause would then take most of their time.
    """
    return min(PAUSE_AFTER_S + 2 * commit_interval_s, LONGEST_STOP_S)


class PollStage(Stage):
    """Owns the source. Hears of rebalances (as its `RebalanceListener`) and tells the publisher.

    Args:
        tagged: the publish stage's inbox.
        revoke_timeout_s: how long a revoke waits for what is finished to be committed.
        commit_interval_s: how long a transaction stays open for more.
        drained: set when the publish stage has ended; only then is the group left, so that the
            last commit is made by a member.
        wall_clock: seconds since the epoch.
        tracer: begins the spans of messages; None traces none.
        run_ended: called once each partition of a bounded run is committed to its end, by whichever
            worker; then nothing is left to read.
        confirms_offsets: as for `IdleOffsets`.

    Attributes:
        run: how far the bounded run is; None where there is none, or before that is known.
    """

    def __init__(
        self,
        *,
        source: Source,
        incoming: Channel[RawMessage],
        tagged: Channel[PublishMessage],
        in_flight: InFlight,
        ownership: Ownership,
        revoke_timeout_s: float,
        commit_interval_s: float,
        drained: threading.Event,
        observer: Observer,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        tracer: Tracer | None = None,
        run_ended: Callable[[], object] = lambda: None,
        confirms_offsets: bool = False,
    ) -> None:
        super().__init__(Step.POLL.value, clock)
        self._source = source
        self._incoming = incoming
        self._tagged = tagged
        self._in_flight = in_flight
        self._ownership = ownership
        self._revoke_timeout_s = revoke_timeout_s
        self._pause_after_s = pause_after_s(commit_interval_s)
        self._drained = drained
        self._observer = observer
        self._wall_clock = wall_clock
        self._tracer = tracer
        self._run_ended = run_ended
        self._idle_offsets = IdleOffsets(confirms=confirms_offsets)
        self._run_pace = RunPace()
        self._run_due_at = 0.0
        self.run: RunProgress | None = None
        self._stop = threading.Event()
        self._rewinds: deque[Mapping[TopicPartition, Rewind]] = deque()
        self._paused = False
        self._full_since: float | None = None
        self._lag_due_at = 0.0
        self._positions: Mapping[TopicPartition, int] = {}

    def stop(self) -> None:
        """Read nothing more; drain, then leave the group. Any thread, also a signal handler."""
        self._stop.set()

    def rewind(self, rewinds: Mapping[TopicPartition, Rewind]) -> None:
        """Read these partitions again from there. Any thread."""
        self._rewinds.append(rewinds)

    def work(self) -> None:
        """Poll until `stop`, then close `incoming` and keep the membership until `drained`."""
        self.progress()
        self._source.open(self)
        try:
            while not self._stop.is_set() and not self._drained.is_set():
                self._poll()
            self._source.pause()
            self._incoming.close()
            while not self._drained.is_set():
                # Paused: this only serves the group. A message that comes all the same is not in
                # flight and stays uncommitted.
                self._source.poll(1, PAUSED_POLL_S)
                self.progress()
        finally:
            self._source.close()

    def _poll(self) -> None:
        self.progress()
        while self._rewinds:
            self._rewind(self._rewinds.popleft())
        if self._waits_for_room():
            return
        limit = max(1, min(POLL_MESSAGES, self._in_flight.room))
        messages = self._source.poll(limit, PAUSED_POLL_S if self._paused else POLL_S)
        started = self._clock()
        if messages:
            if self._tracer is not None:
                messages = self._tracer.consumed(messages)
            size_bytes = sum(message.size_bytes for message in messages)
            self._in_flight.add(len(messages), size_bytes)
            self._observer.consumed(len(messages), size_bytes)
            self._ownership.delivered(messages)
            self._incoming.put_many(messages)
            self._observer.queue_depth(Queue.INCOMING, len(self._incoming))
            self._observer.stage_seconds(self.name, self._clock() - started)
        if started >= self._lag_due_at:
            self._lag_due_at = started + LAG_INTERVAL_S
            self._report()
            self._move_idle(started)
        if started >= self._run_due_at:
            self._run_due_at = started + RUN_INTERVAL_S
            self._look_at_run(started)

    def _look_at_run(self, now: float) -> None:
        state = self._source.run_state()
        if state is None:
            return
        if self.run is None or state != self.run.state or not state.is_complete:
            self.run = self._run_pace.note(state, now)
            self._observer.run_progress(self.run)
        if state.is_complete:
            self._run_ended()
            return
        positions = self._ownership.positions(self._source.read_offsets())
        if finished := at_end(self._source.run_ends(), positions):
            self._source.finish(finished)

    def _rewind(self, rewinds: Mapping[TopicPartition, Rewind]) -> None:
        current = self._source.assignments()
        # A partition that went away and came back is read from its committed offset, which
        # another worker may have moved past this one.
        offsets = {
            partition: rewind.offset
            for partition, rewind in rewinds.items()
            if current.get(partition) == rewind.assignment
        }
        assignments = self._source.rewind(offsets)
        self._ownership.add(assignments)
        self._tagged.put_urgent(Assigned(assignments))

    def _waits_for_room(self) -> bool:
        """Back-pressure: stop at the in-flight bound, then pause; resume well under it.

        Polling goes on all the time, except where this returns True: then there may be room soon.
        """
        if self._paused:
            if self._in_flight.may_resume:
                self._source.resume()
                self._set_paused(False)
            return False
        if not self._in_flight.must_pause:
            self._full_since = None
            return False
        now = self._clock()
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since < self._pause_after_s:
            self._source.serve(ROOM_S)  # the commit that makes room needs the source
            return True
        self._source.pause()
        self._set_paused(True)
        return False

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        self._full_since = None
        self._observer.paused(paused)

    def _report(self) -> None:
        stable, high = self._source.end_offsets(), self._source.high_watermarks()
        positions = self._ownership.positions(self._source.read_offsets())
        run_ends = self._source.run_ends()
        ends = {one: min(end, run_ends.get(one, end)) for one, end in {**stable, **high}.items()}
        behind = lags(ends, positions)
        self._observer.ends(stable, high)
        self._observer.lag(behind)
        # A position that moves without a commit passes markers, or messages of aborted
        # transactions.
        moved = tuple(
            one
            for one, position in positions.items()
            if behind.get(one) == 0 or position > self._positions.get(one, position)
        )
        self._positions = positions
        if moved:
            self._observer.partitions_moved(moved, self._wall_clock())
        self._observer.in_flight(self._in_flight.messages, self._in_flight.size_bytes)

    def _move_idle(self, now: float) -> None:
        """Have offsets committed that no message moves. A bounded run commits its ends itself."""
        if self._source.run_state() is not None:
            return
        known = {**self._source.group_offsets(), **self._ownership.committed_offsets()}
        finished = self._ownership.finished(self._source.read_offsets())
        if due := self._idle_offsets.due(finished, self._source.last_stable(), known, now):
            self._tagged.put_urgent(Idle(due))

    # --- RebalanceListener, called on this thread inside `Source.poll` and `Source.close`

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Tell the publisher under which numbers the new partitions are read."""
        current = self._source.assignments()
        assignments = {one: current[one] for one in partitions if one in current}
        self._ownership.add(assignments)
        self._tagged.put_urgent(Assigned(assignments))
        self._observer.rebalanced(RebalanceEvent.ASSIGNED, len(partitions))
        self._observer.partitions_moved(tuple(assignments), self._wall_clock())
        log.info("partitions assigned", partitions=_names(partitions))

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Wait up to `revoke_timeout_s` for the commit of what is finished; give up the rest."""
        self._observer.rebalanced(RebalanceEvent.REVOKED, len(partitions))
        if not self._drained.is_set():
            done = threading.Event()
            self._tagged.put_urgent(Revoked(tuple(partitions), done))
            self._await(done)
        self._ownership.drop(partitions)
        self._observer.partitions_dropped(partitions)
        log.info("partitions revoked", partitions=_names(partitions))

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Another worker has these already, so that nothing open may be committed."""
        self._observer.rebalanced(RebalanceEvent.LOST, len(partitions))
        self._ownership.drop(partitions)
        self._tagged.put_urgent(Lost(tuple(partitions)))
        self._observer.partitions_dropped(partitions)
        log.warning("partitions lost", partitions=_names(partitions))

    def on_jumped(self, reason: JumpReason, missed: int) -> None:
        """Count the jump; the source has logged it."""
        self._observer.jumped(reason, missed)

    def on_rejoined(self) -> None:
        """Count it; the source has logged it."""
        self._observer.rebalanced(RebalanceEvent.REJOINED, 0)

    def _await(self, done: threading.Event) -> None:
        deadline = self._clock() + self._revoke_timeout_s
        while not done.wait(SERVE_S) and not self._drained.is_set():
            self._source.serve()  # the commit that is awaited here needs the source
            if self._clock() >= deadline:
                # Dropping the ownership makes the late commit fail, so nothing is doubled.
                log.warning(
                    "revoke went on without the last commit; its inputs will be read again",
                    revoke_timeout_s=self._revoke_timeout_s,
                )
                return


def _names(partitions: Sequence[TopicPartition]) -> list[str]:
    return [str(one) for one in partitions]
