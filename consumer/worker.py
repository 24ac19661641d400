"""Worker: builds the stages, runs them, drains them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from consumer import __version__
from consumer.contracts.choices import Delivery
from consumer.contracts.errors import ShutdownTimeout, StageStalled
from consumer.contracts.messages import Batch, ModelInfo, Outcome, RawMessage
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Codec, Shadow, Sink, Source, Tagger
from consumer.contracts.runs import RunProgress
from consumer.contracts.traces import Tracer
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.bookkeeping.commit_policy import CommitPolicy
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.bookkeeping.stale import Stale
from consumer.pipeline.channel import Channel, wake
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.dispatch import Dispatcher, Route, WatchedDispatcher
from consumer.pipeline.drain import Drain
from consumer.pipeline.inbox import LetGo, PublishMessage
from consumer.pipeline.poll import PollStage
from consumer.pipeline.prepare import PrepareStage
from consumer.pipeline.publish import OUTCOMES, PublishStage
from consumer.pipeline.stages import Stages
from consumer.pipeline.tag import TagStage
from consumer.pipeline.waiting import Waiting
from consumer.settings.schema import Settings
from consumer.telemetry.health import Health

#: Seconds that the stages may take to end after a failure; then the process ends without them.
ABORT_S = 10.0

#: Full batches that may wait for the tagger. One that is not full waits where more may join it.
BATCHES = 8

log = structlog.get_logger(__name__)


class Worker:
    """The four stages and the channels between them.

    `start`, then `wait` until `stop` was called or a stage failed. One use only.

    Args:
        clock: monotonic seconds; wall_clock: seconds since the epoch; pause: sleeps so long.
        began_at: when the process began to start, by `clock`; now if None.
        tracer: begins the spans of articles, batches and transactions; None traces nothing.
        sent: told of each outcome that is sent, on the publish thread; see `WatchedDispatcher`.
        shadow: a second model, to be closed by whoever made it; None is none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source,
        sink: Sink,
        tagger: Tagger,
        codec: Codec,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
        began_at: float | None = None,
        tracer: Tracer | None = None,
        sent: Callable[[Outcome], None] | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self._settings = settings
        self._source = source
        self._sink = sink
        self._clock = clock
        self._began_at = clock() if began_at is None else began_at
        self._waiting: Waiting | None = Waiting(clock)
        self._models = tagger.models
        self._ended = threading.Event()
        self._ready = threading.Event()
        self._drained = threading.Event()
        self._drain = Drain(settings.shutdown_timeout_s, clock)
        self._ownership = Ownership()
        self._in_flight = InFlight(settings.in_flight_articles, settings.in_flight_bytes)
        # Without a bound of its own: the poll stage pauses at the in-flight bound.
        incoming: Channel[RawMessage] = Channel(None)
        # When the tagger takes a batch or waits for one, the next is due, or else a commit.
        batches: Channel[Batch] = Channel(BATCHES, on_demand=lambda: wake(incoming, tagged))
        tagged: Channel[PublishMessage] = Channel(OUTCOMES)
        self._channels: tuple[Channel[RawMessage], Channel[Batch], Channel[PublishMessage]] = (
            incoming,
            batches,
            tagged,
        )
        self._poll = PollStage(
            source=source,
            incoming=incoming,
            tagged=tagged,
            in_flight=self._in_flight,
            ownership=self._ownership,
            revoke_timeout_s=settings.revoke_timeout_s,
            commit_interval_s=settings.commit_interval_ms / 1000,
            drained=self._drained,
            observer=observer,
            clock=clock,
            wall_clock=wall_clock,
            tracer=tracer,
            run_ended=self._end_run,
            confirms_offsets=settings.delivery == Delivery.AT_LEAST_ONCE,
        )
        self._prepare = PrepareStage(
            incoming=incoming,
            batches=batches,
            deserializer=codec,
            tagger=tagger,
            builder=BatchBuilder(
                settings.batch_tokens, settings.batch_articles, settings.batch_wait_ms / 1000
            ),
            stale=Stale(self._ownership, self._in_flight),
            let_go=lambda messages: tagged.put_urgent(LetGo(messages)),
            observer=observer,
            clock=clock,
        )
        self._tag = TagStage(
            batches=batches,
            tagged=tagged,
            tagger=tagger,
            stale=Stale(self._ownership, self._in_flight),
            observer=observer,
            clock=clock,
            tracer=tracer,
            shadow=shadow,
        )
        route = Route(settings.output_topic, settings.dead_letter_topic, __version__)
        dispatcher = Dispatcher(sink, codec, route, wall_clock)
        if sent is not None:
            dispatcher = WatchedDispatcher(sink, codec, route, wall_clock, sent)
        self._publish = PublishStage(
            tagged=tagged,
            sink=sink,
            dispatcher=dispatcher,
            policy=CommitPolicy(settings.commit_interval_ms / 1000),
            limit=DeadLetterLimit(
                settings.dead_letter_max_ratio, settings.dead_letter_window_messages
            ),
            in_flight=self._in_flight,
            ownership=self._ownership,
            more_comes=lambda: bool(
                len(incoming) or self._prepare.has_work or len(batches) or not batches.reader_waits
            ),
            rewind=self._poll.rewind,
            ready=self._ready,
            observer=observer,
            clock=clock,
            wall_clock=wall_clock,
            pause=pause,
            tracer=tracer,
        )
        self._stages = Stages((self._poll, self._prepare, self._tag, self._publish), clock)
        self._stalled: StageStalled | None = None

    def start(self, signals: Callable[[], int] = lambda: 0) -> None:
        """Start the stages, the last first, so that nothing is read before it can be written.

        Blocks until the producer is ready or cannot be; `wait` raises what went wrong.

        Args:
            signals: as for `wait`.
        """
        self._publish.start(self._publish_ended)
        # A worker that cannot write must not take partitions from one that can.
        while not self._ready.wait(0.05):
            self._tell()
            if signals():
                self.stop()
            if self._drain.has_begun:
                # The producer is released as soon as opening it ends, which may take a while.
                for channel in self._channels:
                    channel.abort()
                return
            if not self._publish.running:
                return
        log.info("producer ready", seconds=round(self._clock() - self._began_at, 1))
        for stage in (self._tag, self._prepare, self._poll):
            stage.start(self._ended.set)

    def stop(self) -> None:
        """Read nothing more, finish what was read, commit, leave the group. Any thread."""
        if not self._drain.begin():
            return  # `wait` asks again and again: waking it each time would keep it spinning
        self._poll.stop()
        self._ended.set()

    def wait(
        self,
        signals: Callable[[], int] = lambda: 0,
        show: Callable[[RunProgress | None], None] = lambda _: None,
    ) -> None:
        """Block until the worker has drained and left the group.

        Args:
            signals: how many signals to end have come; the first stops, the second forces. Asked
                here, since a signal handler may do no more than count.
            show: told some ten times a second how far the bounded run is.

        Raises:
            NerstreamError: what a stage raised; `StageFailed` around what nobody expected.
            StageStalled: a forward pass takes longer than `stall_timeout_s`; it may still run.
            ShutdownTimeout: the drain took longer than `shutdown_timeout_s`, although it lets go
                what it has not begun in time.
        """
        while self.running:
            if self._drain.has_begun and not self._poll.started:
                return  # stopped before anything was read: there is nothing to drain
            # Short, so that a signal and a deadline are noticed.
            self._ended.wait(0.1)
            self._ended.clear()
            self._tell()
            show(self.run)
            failure = (
                self._stages.failure()
                or self._hanging()
                or self._drain.overdue(self._in_flight.messages)
            )
            if failure is not None:
                self.abort()
                raise failure
            if signals() == 1:
                self.stop()
            elif signals() > 1:
                self.abort()
                raise ShutdownTimeout(
                    f"forced by a second signal; {self._in_flight.messages} messages are "
                    "uncommitted and will be read again"
                )
            if self._drain.lets_go(self._tag.batch_s):
                self._let_go()
        failure = self._stages.failure()
        if failure is not None:
            raise failure

    @property
    def run(self) -> RunProgress | None:
        """How far the bounded run is; None where there is none, or before that is known."""
        return self._poll.run

    @property
    def can_write(self) -> bool:
        """Whether the producer is ready."""
        return self._ready.is_set()

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The models that answer."""
        return self._models

    @property
    def failed(self) -> bool:
        """Whether a stage has failed; `wait` raises what it was."""
        return self._stages.failure() is not None

    @property
    def running(self) -> bool:
        """Whether a stage still runs; after `wait` has raised, one that hangs."""
        return self._stages.running

    def abort(self) -> None:
        """Release what is in flight and end the stages, within `ABORT_S`."""
        self._poll.stop()
        for channel in self._channels:
            channel.abort()
        self._stages.join(ABORT_S)

    def state(self) -> Health:
        """The health of the worker now. Any thread."""
        reasons = self._stages.faults(self._settings.stall_timeout_s)
        if self._stalled is not None and not reasons:
            # The stage went on after all, but the worker is ending because of it.
            reasons.append(str(self._stalled))
        alive = not reasons
        reasons.extend(_texts(self._waits_for()))
        reasons.extend(self._source.troubles())
        if self._prepare.obstacle:
            reasons.append(self._prepare.obstacle)
        if self._drain.has_begun:
            reasons.append("the worker is stopping")
        return Health(alive, not reasons, tuple(reasons))

    def _waits_for(self) -> dict[str, str]:
        """What the worker still waits for before it can work, and why, where that is known."""
        waits = {}
        if not self._ready.is_set():
            waits["the producer is not ready"] = self._sink.obstacle()
        if not self._ownership.count:
            waits["no partition is assigned"] = self._source.obstacle()
        return waits

    def _tell(self) -> None:
        """Log what the worker waits for, and at last that it works."""
        if self._waiting is None or self._drain.has_begun:
            return
        waits = self._waits_for()
        if not waits:
            self._waiting = None
            log.info("working", seconds=round(self._clock() - self._began_at, 1))
        elif self._waiting.is_due(_texts(waits), any(waits.values())):
            log.warning("not working yet", waits_for=_texts(waits))

    def _let_go(self) -> None:
        """Release what the drain cannot finish: a worker that is behind, on a slow device, holds
        more than it can finish in time. The next one reads it; nothing of it was begun.
        """
        self._prepare.let_go()
        self._tag.let_go()
        incoming, _, tagged = self._channels
        messages = tuple(incoming.clear())
        tagged.put_urgent(LetGo(messages))
        log.warning(
            "the drain takes long; what has not begun is let go, and read again by the next worker",
            in_flight=self._in_flight.messages,
        )

    def _end_run(self) -> None:
        if not self._drain.has_begun:
            log.info("each partition of the run is committed to its end")
            self.stop()

    def _publish_ended(self) -> None:
        self._drained.set()
        self._ended.set()

    def _hanging(self) -> StageStalled | None:
        """The error of a model that hangs: no call ends it, and only a new process gets another.

        The other stages wait for Kafka, which comes back, and for each other.
        """
        stalled_s, allowed_s = self._tag.stalled_s(), self._settings.stall_timeout_s
        if stalled_s > allowed_s:
            in_flight = self._in_flight.messages
            self._stalled = StageStalled(self._tag.name, stalled_s, allowed_s, in_flight)
        return self._stalled


def _texts(waits: Mapping[str, str]) -> list[str]:
    return [f"{what}: {why}" if why else what for what, why in waits.items()]
