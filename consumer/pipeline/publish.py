"""PublishStage: writes outcomes to Kafka, together with the offsets that they resolve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import structlog

from consumer.contracts.choices import Queue, ReleaseReason, Step, TransactionOutcome
from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem
from consumer.contracts.messages import Outcome, RawMessage, Rejected, TaggedBatch, TopicPartition
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Sink
from consumer.contracts.traces import Tracer, UnitTrace
from consumer.pipeline.bookkeeping.commit_policy import CommitPolicy
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.offsets import OffsetTracker, Rewind
from consumer.pipeline.bookkeeping.ownership import Finished, Ownership
from consumer.pipeline.bookkeeping.transaction import Transaction
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.dispatch import Dispatcher
from consumer.pipeline.inbox import Assigned, Idle, LetGo, Lost, PublishMessage, Revoked
from consumer.pipeline.log_context import log_context, spelled
from consumer.pipeline.stage import Stage

#: Longest pause after an abort, in seconds. The first abort of a row has none, the second 0.2 s;
#: then it doubles.
MAX_ABORT_PAUSE_S = 5.0

#: Seconds without a commit of offsets alone after one that failed; nothing depends on it.
IDLE_AGAIN_S = 30.0

#: Batches of outcomes that may wait while this stage publishes. The stages before it share the
#: interpreter's lock with it. If more could wait, those stages would be done with all that may be
#: in flight when it commits, and would stand still during the commit.
OUTCOMES = 8
#: The same while it commits: as many as a device finishes meanwhile. A batch takes a GPU some
#: milliseconds, a commit tens of them. Outcomes are small beside their articles, which are bounded.
OUTCOMES_IN_COMMIT = 64

log = structlog.get_logger(__name__)


class PublishStage(Stage):
    """Owns the sink and the offset tracker; takes outcomes and commands from `tagged`.

    Args:
        more_comes: whether an outcome is on its way; `tagged` is woken when none is any more.
        rewind: asks the poll thread to read partitions again from these offsets; answered by an
            `Assigned`.
        ready: set once the sink is open.
        wall_clock: seconds since the epoch.
        tracer: begins the spans of transactions; None traces none.
    """

    def __init__(
        self,
        *,
        tagged: Channel[PublishMessage],
        sink: Sink,
        dispatcher: Dispatcher,
        policy: CommitPolicy,
        limit: DeadLetterLimit,
        in_flight: InFlight,
        ownership: Ownership,
        more_comes: Callable[[], bool],
        rewind: Callable[[Mapping[TopicPartition, Rewind]], None],
        ready: threading.Event,
        observer: Observer,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        pause: Callable[[float], None],
        tracer: Tracer | None = None,
    ) -> None:
        super().__init__(Step.PUBLISH.value, clock)
        self._tagged = tagged
        self._sink = sink
        self._dispatcher = dispatcher
        self._policy = policy
        self._limit = limit
        self._in_flight = in_flight
        self._ownership = ownership
        self._more_comes = more_comes
        self._rewind = rewind
        self._ready = ready
        self._observer = observer
        self._wall_clock = wall_clock
        self._pause = pause
        self._tracer = tracer
        self._tracker = OffsetTracker()
        self._transaction: Transaction | None = None
        # Offsets that join the open transaction.
        self._idle: Mapping[TopicPartition, Finished] = {}
        self._idle_again_at: float | None = None
        self._aborts_in_a_row = 0
        self._fault: str | None = None
        self._last_batch_at: float | None = None
        self._batch_gap_s: float | None = None

    def work(self) -> None:
        """Publish until `tagged` ends, commit what is left, release the sink.

        Where `tagged` is aborted nothing more is committed.
        """
        try:
            self.progress()
            self._sink.open()
            self._ready.set()
            while self._step():
                pass
            self._commit_last()
        finally:
            # Also on the way out of a failure: an open transaction must not outlive the worker.
            self._sink.close()

    def _step(self) -> bool:
        """Handle one message or make one commit. Returns whether there may be more."""
        wait_s = self._wait_s()
        if wait_s is not None and wait_s <= 0:
            self._commit()
            return True
        self.idle()
        try:
            message = self._tagged.get(wait_s)
        except ChannelAborted:
            raise  # what is open is released with the rest; closing the sink aborts it
        except ChannelClosed:
            return False
        finally:
            self.progress()
        match message:
            case TaggedBatch():
                self._take(message)
            case LetGo(messages):
                self._let_go(messages)
            case Assigned(assignments):
                self._tracker.assign(assignments)
            case Revoked(partitions, done):
                self._revoke(partitions, done)
            case Lost(partitions):
                self._lose(partitions)
            case Idle(finished):
                self._idle = finished
                if self._transaction is None:
                    self._commit_idle()
        return True

    def _wait_s(self) -> float | None:
        if self._transaction is None:
            return None
        return self._policy.wait_s(
            opened_at=self._transaction.opened_at,
            now=self._clock(),
            nothing_upstream=self._in_flight.messages <= self._transaction.messages
            or not (len(self._tagged) or self._more_comes()),
            batch_gap_s=self._batch_gap_s,
        )

    def _take(self, batch: TaggedBatch) -> None:
        now = self._clock()
        if self._last_batch_at is not None:
            self._batch_gap_s = now - self._last_batch_at
        self._last_batch_at = now
        self._observer.queue_depth(Queue.TAGGED, len(self._tagged))
        for outcome in batch.outcomes:
            raw = outcome.raw
            if self._tracker.accepts(raw):
                try:
                    self._publish(outcome, raw)
                except AbortableError as reason:
                    self._abort(reason)
            else:
                self._release(raw, self._tracker.release_reason(raw))
            self.progress()
        self._observer.stage_seconds(self.name, self._clock() - now)

    def _release(self, raw: RawMessage, reason: ReleaseReason) -> None:
        if raw.trace is not None:
            raw.trace.released(reason)
        self._observer.released(reason, 1)
        self._in_flight.remove(1, raw.size_bytes)

    def _let_go(self, messages: Sequence[RawMessage]) -> None:
        for raw in messages:
            if self._ownership.holds(raw):
                self._release(raw, ReleaseReason.STOPPED)
            else:
                self._release(raw, self._tracker.release_reason(raw))

    def _publish(self, outcome: Outcome, raw: RawMessage) -> None:
        """Resolve the outcome, then send its message.

        In this order: if `begin` or `send` fails, the rewind must bring this message back too.
        """
        transaction = self._transaction
        opens = transaction is None
        if transaction is None:
            transaction = self._transaction = Transaction(self._clock())
        self._tracker.resolve(raw)
        transaction.join(raw)
        if opens:
            self._sink.begin()
        sent = self._dispatcher.send(outcome)
        if isinstance(sent, Rejected):
            with log_context(raw.trace):
                log.debug(
                    "rejected", position=spelled(raw.position), code=sent.code, stage=sent.stage
                )
            self._limit.note(sent)
        else:
            self._limit.note(None)
        transaction.sent(sent)

    def _commit(self) -> None:
        transaction = self._transaction
        if transaction is None:
            return
        started = self._clock()
        idle = self._take_idle()
        offsets = {one: finished.offset for one, finished in idle.items()}
        offsets.update(self._tracker.pending())
        assignments = {one: finished.assignment for one, finished in idle.items()}
        assignments.update(self._tracker.pending_assignments())
        self._tagged.resize(OUTCOMES_IN_COMMIT)
        trace = self._trace(transaction)
        try:
            with log_context(trace):
                self._sink.commit(offsets, lambda: self._ownership.owns(assignments))
        except AbortableError as reason:
            self._abort(reason, trace)
            return
        finally:
            self._tagged.resize(OUTCOMES)
        if trace is not None:
            trace.ended()
        for raw in transaction.traced:
            if raw.trace is not None:
                raw.trace.committed()
        self._transaction = None
        self._aborts_in_a_row = 0
        if not self._tracker.rewinding:
            self._fault = None
        self._tracker.committed()
        self._ownership.committed(offsets)
        self._in_flight.remove(transaction.messages, transaction.size_bytes)
        now = self._wall_clock()
        self._observer.stage_seconds(Step.COMMIT, self._clock() - started)
        self._observer.transaction_ended(TransactionOutcome.COMMITTED)
        self._observer.partitions_moved(tuple(offsets), now)
        if transaction.unchanged:
            self._observer.unchanged(transaction.unchanged)
        self._observer.committed(
            transaction.published,
            transaction.tombstones,
            transaction.rejected,
            transaction.untagged,
            transaction.entities,
            [now - timestamp_ms / 1000 for timestamp_ms in transaction.timestamps_ms],
        )

    def _take_idle(self) -> Mapping[TopicPartition, Finished]:
        """What may still be committed of the offsets that no message moves; asked for once."""
        idle, self._idle = self._idle, {}
        return {
            one: finished
            for one, finished in idle.items()
            if self._tracker.may_pass(one, finished)
            and self._ownership.owns({one: finished.assignment})
        }

    def _commit_idle(self) -> None:
        """Commit offsets alone. Where that fails nothing is lost and nothing is read again."""
        idle = self._take_idle()
        waits = self._idle_again_at is not None and self._clock() < self._idle_again_at
        if not idle or waits:
            return
        offsets = {one: finished.offset for one, finished in idle.items()}
        assignments = {one: finished.assignment for one, finished in idle.items()}
        self._tagged.resize(OUTCOMES_IN_COMMIT)
        try:
            self._sink.begin()
            self._sink.commit(offsets, lambda: self._ownership.owns(assignments))
        except AbortableError as reason:
            self._idle_again_at = self._clock() + IDLE_AGAIN_S
            self._sink.abort()
            log.info("the offsets of idle partitions are not committed yet", reason=str(reason))
            return
        finally:
            self._tagged.resize(OUTCOMES)
        self._ownership.committed(offsets)
        self._observer.offsets_moved()

    def _commit_last(self) -> None:
        """Commit at the end of the drain. Nothing is read again, so a fault must not look like
        success.

        A rebalance is no fault: what it takes from a worker is released at any other time as well,
        and workers of one group often end together.
        """
        self._commit()
        if not self._tracker.rewinding:
            return
        said = (
            "a transaction was aborted while the worker was stopping; nothing is lost, "
            "the next worker reads its inputs again"
        )
        if self._fault is not None:
            raise KafkaProblem(f"{said} ({self._fault})")
        log.warning(said)

    def _trace(self, transaction: Transaction | None) -> UnitTrace | None:
        if transaction is None or self._tracer is None or not transaction.traced:
            return None
        return self._tracer.transaction(transaction.traced, transaction.messages)

    def _abort(self, reason: Exception, trace: UnitTrace | None = None) -> None:
        """Abort the open transaction, and have its inputs read again.

        Args:
            trace: of its commit, where that has begun.
        """
        transaction = self._transaction
        trace = trace or self._trace(transaction)
        self._transaction = None
        if not isinstance(reason, GroupMoved):
            # Not the exception itself: it holds the frames, and with them the old producer.
            self._fault = str(reason)
        with log_context(trace):
            self._sink.abort()
            rewinds = self._tracker.aborted()
            log.warning(
                "transaction aborted, reading its inputs again",
                reason=str(reason),
                messages=transaction.messages if transaction else 0,
            )
        if trace is not None:
            trace.ended(str(reason))
        self._observer.transaction_ended(TransactionOutcome.ABORTED)
        if transaction is not None:
            for raw in transaction.traced:
                if raw.trace is not None:
                    raw.trace.released(ReleaseReason.REWOUND)
            self._in_flight.remove(transaction.messages, transaction.size_bytes)
            self._observer.released(ReleaseReason.REWOUND, transaction.messages)
        self._rewind(rewinds)
        self._aborts_in_a_row += 1
        if self._aborts_in_a_row > 1:
            # A broker that refuses everything must not be hammered.
            doubled = MAX_ABORT_PAUSE_S / 100 * 2.0 ** min(self._aborts_in_a_row, 10)
            self._pause(min(MAX_ABORT_PAUSE_S, doubled))

    def _revoke(self, partitions: tuple[TopicPartition, ...], done: threading.Event) -> None:
        while (waiting := self._tagged.get_ready()) is not None:
            if isinstance(waiting, TaggedBatch):
                self._take(waiting)
            elif isinstance(waiting, LetGo):
                self._let_go(waiting.messages)
        # What no message moves has time; a rebalance has not.
        self._idle = {}
        self._commit()
        self._tracker.revoke(partitions)
        done.set()

    def _lose(self, partitions: tuple[TopicPartition, ...]) -> None:
        if self._transaction is not None and set(partitions) & set(self._tracker.pending()):
            self._abort(GroupMoved("its partitions were lost to another worker"))
        self._tracker.revoke(partitions)
