"""PrepareStage: bytes to checked articles, to tokens, to batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from consumer.contracts.messages import Batch, BatchItem, PreparedArticle, RawMessage
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Deserializer, Tagger
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.chunks import ChunkPreparer
from consumer.pipeline.stage import Stage

#: Messages tokenised in one call: enough to keep every core of the tokeniser busy.
CHUNK_MESSAGES = 64
#: Bytes tokenised in one call: the encodings of a chunk are some ten times as large.
CHUNK_BYTES = 1_048_576


class PrepareStage(Stage):
    """Takes messages from `incoming` and hands batches to `batches`.

    A batch is handed over when it is full. Until then it keeps filling while the tagger has a batch
    waiting; without one it is handed over when it has waited long enough, or at once when the
    tagger is idle and nothing more is queued.
    """

    def __init__(
        self,
        *,
        incoming: Channel[RawMessage],
        batches: Channel[Batch],
        deserializer: Deserializer,
        tagger: Tagger,
        builder: BatchBuilder,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        super().__init__("prepare", clock)
        self._incoming = incoming
        self._batches = batches
        self._preparer = ChunkPreparer(deserializer, tagger)
        self._chunks: deque[Callable[[], list[BatchItem]]] = deque()
        self._builder = builder
        self._observer = observer

    @property
    def has_work(self) -> bool:
        """Whether it holds messages that have not left for the tagger. Any thread."""
        # Not `busy`: that is over while a batch waits for room, with others still to come.
        return not self._incoming.reader_waits or len(self._chunks) > 0 or len(self._builder) > 0

    def work(self) -> None:
        """Prepare until `incoming` ends, then close `batches`."""
        try:
            self._work()
        finally:
            self._preparer.close()

    def _work(self) -> None:
        ended = False
        while not ended or self._chunks:
            self.idle()
            messages: list[RawMessage] = []
            try:
                if not ended and len(self._chunks) < self._preparer.most_under_way:
                    messages = self._take()
            except ChannelAborted:
                raise
            except ChannelClosed:
                ended = True
            self.progress()
            self._observer.queue_depth("incoming", len(self._incoming))
            started = self._clock()
            if messages:
                self._chunks.append(self._preparer.begin(messages))
            # What has begun is only waited for when nothing more can begin.
            is_full = len(self._chunks) >= self._preparer.most_under_way
            items = self._chunks.popleft()() if self._chunks and (is_full or not messages) else []
            if messages or items:
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

    def _take(self) -> list[RawMessage]:
        return self._incoming.get_many(
            CHUNK_MESSAGES,
            timeout_s=0.0 if self._chunks else self._patience_s(),
            weigh=_text_bytes,
            max_weight=CHUNK_BYTES,
        )

    def _patience_s(self) -> float | None:
        """How long to wait for more; None where a message or the tagger's demand wakes us."""
        deadline = self._builder.deadline
        if deadline is None or len(self._batches):
            return None
        return max(0.0, deadline - self._clock())

    def _should_close(self) -> bool:
        deadline = self._builder.deadline
        if deadline is None:
            return False
        if self._builder.full:
            return True
        if len(self._batches):
            return False
        is_last = not len(self._incoming) and not self._chunks
        starving = self._batches.reader_waits and is_last
        return starving or self._clock() >= deadline

    def _hand_over(self, batch: Batch) -> None:
        articles = sum(isinstance(item, PreparedArticle) for item in batch.items)
        self._observer.batch_closed(articles, batch.tokens, batch.closed_at - batch.opened_at)
        self.idle()  # waiting for a busy tagger is not a stall of ours
        self._batches.put(batch)
        self.progress()
        self._observer.queue_depth("batches", len(self._batches))


def _text_bytes(message: RawMessage) -> int:
    """What the size of its encoding goes by; an article's key and headers are not encoded."""
    return len(message.value) if message.value is not None else 0
