"""TagStage: batches through the model."""

from __future__ import annotations

from collections.abc import Callable

from consumer.articles import (
    Batch,
    Entity,
    Outcome,
    PreparedArticle,
    Rejected,
    TaggedArticle,
    TaggedBatch,
)
from consumer.errors import RejectedMessage
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.inbox import PublishMessage
from consumer.pipeline.observer import Observer
from consumer.pipeline.protocols import Tagger
from consumer.pipeline.stage import Stage
from consumer.rejections import RejectCode
from consumer.rejections import Stage as StageName


class TagStage(Stage):
    """Takes batches and hands on their outcomes, in order. What the tagger raises ends the worker:
    a device that fails must not turn good articles into dead letters."""

    def __init__(
        self,
        *,
        batches: Channel[Batch],
        tagged: Channel[PublishMessage],
        tagger: Tagger,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        super().__init__("tag", clock)
        self._batches = batches
        self._tagged = tagged
        self._tagger = tagger
        self._observer = observer

    def work(self) -> None:
        """Tag until `batches` ends, then close `tagged`."""
        while True:
            self.idle()
            try:
                batch = self._batches.get()
            except ChannelAborted:
                raise
            except ChannelClosed:
                break
            if batch is None:
                continue
            self._observer.queue_depth("batches", len(self._batches))
            self.progress()
            outcomes = self._tag(batch)
            self.idle()  # waiting for a busy publisher is not a stall of ours
            self._tagged.put(TaggedBatch(outcomes))
            self._observer.queue_depth("tagged", len(self._tagged))
        self._tagged.close()

    def _tag(self, batch: Batch) -> tuple[Outcome, ...]:
        prepared = [item for item in batch.items if isinstance(item, PreparedArticle)]
        answers: tuple[tuple[Entity, ...] | RejectedMessage, ...] = ()
        if prepared:
            started = self._clock()
            result = self._tagger.tag(prepared, self.progress)
            self._observer.stage_seconds(self.name, self._clock() - started)
            self._observer.batch_tagged(result)
            answers = result.answers
        remaining = iter(answers)
        return tuple(
            _outcome(item, next(remaining)) if isinstance(item, PreparedArticle) else item
            for item in batch.items
        )


def _outcome(item: PreparedArticle, answer: tuple[Entity, ...] | RejectedMessage) -> Outcome:
    if isinstance(answer, RejectedMessage):
        return Rejected(item.raw, RejectCode(answer.code), answer.message, StageName.TAG)
    return TaggedArticle(item.article, answer, item.encoding.tokens)
