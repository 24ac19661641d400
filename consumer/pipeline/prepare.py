"""PrepareStage: bytes to checked articles, to tokens, to batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from consumer.articles import (
    Article,
    Batch,
    BatchItem,
    Encoding,
    PreparedArticle,
    RawMessage,
    Rejected,
    Tombstone,
)
from consumer.errors import RejectedMessage
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.observer import Observer
from consumer.pipeline.protocols import Tagger
from consumer.pipeline.stage import Stage
from consumer.rejections import RejectCode
from consumer.rejections import Stage as StageName

#: Messages tokenised in one call: enough to keep every core of the tokeniser busy.
CHUNK_MESSAGES = 64
#: Bytes tokenised in one call: the encodings of a chunk are some ten times as large.
CHUNK_BYTES = 1_048_576

_UNREADABLE_HEADERS = (
    "the name of a header is not UTF-8, so its headers cannot be read and this dead letter is "
    "without them; the topic, partition and offset say where the original stands"
)

log = structlog.get_logger(__name__)


class Decoder(Protocol):
    """The half of the codec that this stage needs."""

    def decode(self, raw: RawMessage) -> Article | Tombstone:
        """Check a message.

        Raises:
            RejectedMessage: the message is not an article.
        """
        ...


class PrepareStage(Stage):
    """Takes messages from `incoming` and hands batches to `batches`.

    While the tagger is busy and has a batch waiting, the next one keeps filling; a batch is
    handed over when it is full, when it has waited long enough, or at once when the tagger is
    idle and nothing more is queued.
    """

    def __init__(
        self,
        *,
        incoming: Channel[RawMessage],
        batches: Channel[Batch],
        decoder: Decoder,
        tagger: Tagger,
        builder: BatchBuilder,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        super().__init__("prepare", clock)
        self._incoming = incoming
        self._batches = batches
        self._decoder = decoder
        self._tagger = tagger
        self._builder = builder
        self._observer = observer

    @property
    def has_work(self) -> bool:
        """Whether it holds messages that have not left for the tagger. Any thread."""
        # Not `busy`: that is over while a batch waits for room, with others still to come.
        return not self._incoming.reader_waits or len(self._builder) > 0

    def work(self) -> None:
        """Prepare until `incoming` ends, then close `batches`."""
        while True:
            self.idle()
            try:
                messages = self._incoming.get_many(
                    CHUNK_MESSAGES,
                    timeout_s=self._patience_s(),
                    weigh=lambda message: message.size_bytes,
                    max_weight=CHUNK_BYTES,
                )
            except ChannelAborted:
                raise
            except ChannelClosed:
                break
            self.progress()
            self._observer.queue_depth("incoming", len(self._incoming))
            started = self._clock()
            items = self._prepare(messages)
            if messages:
                self._observer.stage_seconds(self.name, self._clock() - started)
            now = self._clock()
            for item in items:
                closed = self._builder.add(item, now)
                if closed is not None:
                    self._hand_over(closed)
                    now = self._clock()
            if self._should_close():
                self._hand_over(self._builder.close(self._clock()))
        if len(self._builder):
            self._hand_over(self._builder.close(self._clock()))
        self._batches.close()

    def _patience_s(self) -> float | None:
        """How long to wait for more; None where a message or the tagger's demand wakes us."""
        deadline = self._builder.deadline
        if deadline is None or not self._batches.has_room:
            return None
        return max(0.0, deadline - self._clock())

    def _should_close(self) -> bool:
        deadline = self._builder.deadline
        if deadline is None:
            return False
        if self._builder.full:
            return True
        if not self._batches.has_room:
            return False
        starving = self._batches.reader_waits and not len(self._batches) and not len(self._incoming)
        return starving or self._clock() >= deadline

    def _hand_over(self, batch: Batch) -> None:
        articles = sum(isinstance(item, PreparedArticle) for item in batch.items)
        self._observer.batch_closed(articles, batch.tokens, batch.closed_at - batch.opened_at)
        self.idle()  # waiting for a busy tagger is not a stall of ours
        self._batches.put(batch)
        self.progress()
        self._observer.queue_depth("batches", len(self._batches))

    def _prepare(self, messages: Sequence[RawMessage]) -> list[BatchItem]:
        """Decode and tokenise; one item for each message, in the same order."""
        decoded = [self._decode(message) for message in messages]
        articles = [item for item in decoded if isinstance(item, Article)]
        encodings = iter(self._encode(articles))
        return [
            self._prepared(item, next(encodings)) if isinstance(item, Article) else item
            for item in decoded
        ]

    def _decode(self, raw: RawMessage) -> Article | Rejected | Tombstone:
        if raw.has_unreadable_headers:
            return Rejected(raw, RejectCode.INVALID_HEADER, _UNREADABLE_HEADERS, StageName.PREPARE)
        try:
            return self._decoder.decode(raw)
        except RejectedMessage as reason:
            return Rejected(raw, RejectCode(reason.code), reason.message, StageName.PREPARE)

    def _encode(self, articles: Sequence[Article]) -> list[Encoding | Exception]:
        """Tokenise all at once; if that fails, one by one: one text must not fail the rest."""
        if not articles:
            return []
        try:
            return list(self._tagger.encode([article.fields for article in articles]))
        except Exception as failure:
            if len(articles) == 1:
                log.warning("an article cannot be tokenised", error=repr(failure))
                return [failure]
            return [one for article in articles for one in self._encode([article])]

    def _prepared(self, article: Article, encoding: Encoding | Exception) -> BatchItem:
        if isinstance(encoding, Exception):
            message = f"the tokenizer failed on this text: {encoding!r}"
            return Rejected(article.raw, RejectCode.TOKENIZATION_FAILED, message, StageName.PREPARE)
        return PreparedArticle(article, encoding)
