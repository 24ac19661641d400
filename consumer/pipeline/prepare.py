"""PrepareStage: turns bytes into checked articles, these into tokens, and tokens into batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from consumer.contracts.choices import Queue, Step
from consumer.contracts.errors import RegistryUnavailable
from consumer.contracts.messages import (
    ArticleTrace,
    Batch,
    BatchItem,
    PreparedArticle,
    RawMessage,
)
from consumer.contracts.observer import Observer
from consumer.contracts.ports import Deserializer, Tagger
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.bookkeeping.stale import Stale
from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from consumer.pipeline.chunks import ChunkPreparer
from consumer.pipeline.stage import Stage
from consumer.pipeline.waiting import Waiting

#: Messages tokenised in one call: enough to keep every core of the tokeniser busy.
CHUNK_MESSAGES = 64
#: Bytes tokenised in one call: the encodings of a chunk are some ten times as large.
CHUNK_BYTES = 1_048_576

#: Seconds between two tries of what needs a schema registry that does not answer.
RETRY_S = 1.0
#: How long it looks away meanwhile.
_LOOK_S = 0.05

log = structlog.get_logger(__name__)


class PrepareStage(Stage):
    """Takes messages from `incoming` and hands batches to `batches`.

    A batch is handed over when it is full. While the tagger has another one waiting, it keeps
    filling. Otherwise it is handed over when it has waited long enough, or at once when the tagger
    is idle and nothing more is queued.

    Where messages cannot be decoded before a schema registry answers, they are held and tried again
    until it does. What has been decoded goes on, and reading pauses by itself once enough is in
    flight.

    Args:
        stale: finds what is not worth preparing any more; the publisher releases it.
        let_go: tells the publisher of messages that will have no outcome.
    """

    def __init__(
        self,
        *,
        incoming: Channel[RawMessage],
        batches: Channel[Batch],
        deserializer: Deserializer,
        tagger: Tagger,
        builder: BatchBuilder,
        stale: Stale,
        let_go: Callable[[tuple[RawMessage, ...]], None],
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(Step.PREPARE.value, clock)
        self._deserializer = deserializer
        self._let_go_of = let_go
        self._stale = stale
        self._incoming = incoming
        self._batches = batches
        self._preparer = ChunkPreparer(deserializer, tagger)
        #: With the clock reading at which each has begun, and the traces of its messages.
        self._chunks: deque[tuple[float, Sequence[ArticleTrace], Callable[[], list[BatchItem]]]] = (
            deque()
        )
        self._builder = builder
        self._observer = observer
        self._ended = False
        self._is_open = False
        self._held: Sequence[RawMessage] = ()
        self._again_at = clock()
        self._obstacle = ""
        self._since: float | None = None
        self._waiting = Waiting(clock)
        self._lets_go = threading.Event()

    @property
    def obstacle(self) -> str:
        """What keeps messages from being decoded, for a person; empty where nothing does. Any
        thread."""
        return self._obstacle

    def let_go(self) -> None:
        """Hold nothing any longer: the worker ends. Any thread."""
        self._lets_go.set()

    @property
    def has_work(self) -> bool:
        """Whether it holds messages that have not left for the tagger. Any thread."""
        # `busy` would be false while a batch waits for room, though others are still to come.
        return (
            not self._incoming.reader_waits
            or len(self._chunks) > 0
            or len(self._builder) > 0
            or len(self._held) > 0
        )

    def work(self) -> None:
        """Prepare until `incoming` ends, then close `batches`."""
        # The first request may take seconds. Until it is answered, nobody should think that all is
        # well.
        self._obstacle = "the schema registry has not answered yet"
        try:
            self._work()
        finally:
            self._preparer.close()
            self._deserializer.close()

    def _work(self) -> None:
        while not self._ended or self._chunks or self._held:
            self.idle()
            messages = self._next()
            self.progress()
            self._observer.queue_depth(Queue.INCOMING, len(self._incoming))
            started = self._clock()
            if messages:
                self._begin(messages)
            # Wait for what has begun only when nothing more can begin.
            is_full = len(self._chunks) >= self._preparer.most_under_way
            items = self._take_chunk() if self._chunks and (is_full or not messages) else []
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

    def _take_chunk(self) -> list[BatchItem]:
        """What the oldest chunk gives; waits for it."""
        began, traces, finish = self._chunks.popleft()
        items = finish()
        seconds = self._clock() - began
        for trace in traces:
            trace.prepared(seconds)
        return items

    def _next(self) -> Sequence[RawMessage]:
        """The messages to begin with now, if any."""
        if self._held:
            return self._next_held()
        if not self._is_open and self._clock() >= self._again_at:
            self._begin(())
        if self._ended or len(self._chunks) >= self._preparer.most_under_way:
            return ()
        try:
            messages, stale = self._stale.sift(self._take(), _itself)
        except ChannelAborted:
            raise
        except ChannelClosed:
            self._ended = True
            return ()
        if stale:
            self._let_go_of(stale)
        return messages

    def _next_held(self) -> Sequence[RawMessage]:
        if self._incoming.aborted:
            raise ChannelAborted
        if self._lets_go.is_set():
            self._let_go_of(tuple(self._held))
            self._held = ()
        elif self._clock() >= self._again_at:
            return self._held
        else:
            self._lets_go.wait(_LOOK_S)
        return ()

    def _begin(self, messages: Sequence[RawMessage]) -> None:
        """Begin a chunk, or hold it until the registry answers."""
        try:
            if not self._is_open:
                self._deserializer.open()
                self._is_open = True
            if messages:
                began = self._clock()
                traces = [raw.trace for raw in messages if raw.trace is not None]
                self._chunks.append((began, traces, self._preparer.begin(messages)))
        except RegistryUnavailable as reason:
            self._held = messages
            self._obstacle = str(reason)
            self._again_at = self._clock() + RETRY_S
            if self._since is None:
                self._since = self._clock()
            if self._waiting.is_due((self._obstacle,), True):
                log.warning("waiting for the schema registry", reason=self._obstacle)
            return
        self._held = ()
        self._obstacle = ""
        if self._since is not None:
            seconds = round(self._clock() - self._since, 1)
            log.info("the schema registry answers", waited_s=seconds)
            self._since, self._waiting = None, Waiting(self._clock)

    def _take(self) -> list[RawMessage]:
        return self._incoming.get_many(
            CHUNK_MESSAGES,
            timeout_s=0.0 if self._chunks else self._patience_s(),
            weigh=_text_bytes,
            max_weight=CHUNK_BYTES,
        )

    def _patience_s(self) -> float | None:
        """How long to wait for more; None where a message or the tagger's demand wakes us."""
        if not self._is_open:
            return RETRY_S
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
        is_last = bool(self._held) or (not len(self._incoming) and not self._chunks)
        starving = self._batches.reader_waits and is_last
        return starving or self._clock() >= deadline

    def _hand_over(self, batch: Batch) -> None:
        articles = sum(isinstance(item, PreparedArticle) for item in batch.items)
        self._observer.batch_closed(articles, batch.tokens, batch.closed_at - batch.opened_at)
        self.idle()  # waiting for a busy tagger is not a stall of ours
        self._batches.put(batch)
        self.progress()
        self._observer.queue_depth(Queue.BATCHES, len(self._batches))


def _itself(message: RawMessage) -> RawMessage:
    return message


def _text_bytes(message: RawMessage) -> int:
    """The bytes of the value, by which its encoding grows; key and headers are not encoded."""
    return len(message.value) if message.value is not None else 0
