"""TagStage: runs batches through the model; begins the next while it decodes the last."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from consumer.contracts.choices import Queue, RejectCode, RejectStage, Step
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Answer,
    Batch,
    BatchItem,
    ModelInfo,
    Outcome,
    PreparedArticle,
    RawMessage,
    Rejected,
    TaggedArticle,
    TaggedBatch,
    TaggingResult,
    made,
)
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Shadow, Tagger
from consumer.contracts.traces import Tracer, UnitTrace
from consumer.pipeline.bookkeeping.stale import Stale
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.inbox import LetGo, PublishMessage
from consumer.pipeline.log_context import log_context
from consumer.pipeline.stage import Stage

#: The longest of so many batches stands for the next ones; a small batch says little about them.
_BATCHES_REMEMBERED = 8


class TagStage(Stage):
    """Takes batches and hands on their outcomes, in order. What the tagger raises ends the worker:
    a device that fails must not turn good articles into dead letters.

    Where the tagger overlaps, a waiting batch is begun as soon as the device has room for it,
    before the one before it is finished. So the device computes while this thread decodes. No batch
    is held back until another comes.

    Args:
        stale: finds what is not worth tagging any more; the publisher releases it.
        tracer: begins the spans of batches; None traces none.
        shadow: is offered what was tagged; None is no second model.

    Attributes:
        batch_s: seconds that a batch takes, by the longest of the latest; 0 before the first.
    """

    def __init__(
        self,
        *,
        batches: Channel[Batch],
        tagged: Channel[PublishMessage],
        tagger: Tagger,
        stale: Stale,
        observer: Observer,
        clock: Callable[[], float],
        tracer: Tracer | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        super().__init__(Step.TAG.value, clock)
        self._batches = batches
        self._tagged = tagged
        self._tagger = tagger
        self._stale = stale
        self._observer = observer
        self._tracer = tracer
        self._shadow = shadow
        self._lets_go = threading.Event()
        self._latest_s: deque[float] = deque(maxlen=_BATCHES_REMEMBERED)
        self.batch_s = 0.0

    def let_go(self) -> None:
        """Tag no further batch; tell the publisher what each held instead. Any thread."""
        self._lets_go.set()

    def work(self) -> None:
        """Tag until `batches` ends, then close `tagged`."""
        under_way: _UnderWay | None = None
        while True:
            try:
                batch = self._take(under_way)
            except ChannelAborted:
                raise
            except ChannelClosed:
                break
            if batch is not None:
                batch = self._kept(batch)
            next_under_way = None if batch is None else self._begin(batch)
            if under_way is not None:
                self._finish(under_way)
            under_way = next_under_way
        self._tagged.close()

    def _take(self, under_way: _UnderWay | None) -> Batch | None:
        """The next batch. While one is under way, this waits for no other, which would hold back
        the first. It takes another only if the tagger would run both at once."""
        if under_way is None:
            self.idle()
            return self._batches.get()
        if not self._tagger.overlaps:
            return None
        started = self._clock()
        self._tagger.await_room()
        under_way.worked_s += self._clock() - started
        return self._batches.get_ready()

    def _kept(self, batch: Batch) -> Batch | None:
        """What of a batch is still to be tagged; the publisher is told of the rest."""
        items: Sequence[BatchItem] = ()
        if self._lets_go.is_set():
            given_up = tuple(item.raw for item in batch.items)
        else:
            items, given_up = self._stale.sift(batch.items, _raw_of)
        if not given_up:
            return batch
        self.idle()  # waiting for a busy publisher is not a stall of ours
        self._tagged.put(LetGo(given_up))
        if not items:
            return None
        tokens = sum(item.encoding.tokens for item in items if isinstance(item, PreparedArticle))
        return replace(batch, items=tuple(items), tokens=tokens)

    def _begin(self, batch: Batch) -> _UnderWay:
        self._observer.queue_depth(Queue.BATCHES, len(self._batches))
        self.progress()
        prepared = [item for item in batch.items if isinstance(item, PreparedArticle)]
        if not prepared:
            return _UnderWay(batch, None, 0.0)
        trace = None
        if self._tracer is not None:
            trace = self._tracer.batch([item.raw for item in prepared], batch.tokens)
        started = self._clock()
        with log_context(trace):
            answers = self._tagger.begin(prepared, self.progress)
        return _UnderWay(batch, answers, self._clock() - started, trace)

    def _finish(self, under_way: _UnderWay) -> None:
        self.progress()
        outcomes = self._outcomes(under_way)
        self.idle()  # waiting for a busy publisher is not a stall of ours
        self._tagged.put(TaggedBatch(outcomes))
        if self._shadow is not None:
            self._shadow.offer(outcomes, len(self._batches) > 0)
        self._observer.queue_depth(Queue.TAGGED, len(self._tagged))

    def _outcomes(self, under_way: _UnderWay) -> tuple[Outcome, ...]:
        answers: Iterator[tuple[Answer, ModelInfo]] = iter(())
        if under_way.answers is not None:
            started = self._clock()
            with log_context(under_way.trace):
                result = under_way.answers()
            worked_s = under_way.worked_s + self._clock() - started
            self._latest_s.append(worked_s)
            self.batch_s = max(self._latest_s)
            self._observer.stage_seconds(self.name, worked_s)
            self._observer.batch_tagged(result)
            if under_way.trace is not None:
                under_way.trace.ended()
            answers = zip(result.answers, result.models, strict=True)
        return tuple(
            _outcome(item, *next(answers)) if isinstance(item, PreparedArticle) else item
            for item in under_way.batch.items
        )


@dataclass(slots=True)
class _UnderWay:
    """A batch that has begun.

    Attributes:
        answers: gives the answers; None where there is nothing to tag.
        worked_s: seconds that the batch has taken so far.
        trace: its span, where one of its articles is traced.
    """

    batch: Batch
    answers: Callable[[], TaggingResult] | None
    worked_s: float
    trace: UnitTrace | None = None


def _raw_of(item: BatchItem) -> RawMessage:
    return item.raw


def _outcome(item: PreparedArticle, answer: Answer, model: ModelInfo) -> Outcome:
    if isinstance(answer, RejectedMessage):
        return Rejected(item.raw, RejectCode(answer.code), answer.message, RejectStage.TAG)
    article, encoding = item
    return made(TaggedArticle, (article, answer, encoding.tokens, model))
