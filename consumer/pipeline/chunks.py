"""ChunkPreparer: turns messages into tokenised articles, one or several chunks at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import structlog

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import NerstreamError, RejectedMessage
from consumer.contracts.messages import (
    Article,
    BatchItem,
    Encoding,
    PreparedArticle,
    RawMessage,
    Rejected,
    Tombstone,
    Unchanged,
    Untagged,
    made,
)
from consumer.contracts.ports import Deserializer, Tagger
from consumer.pipeline.log_context import log_context, spelled

_UNREADABLE_HEADERS = (
    "the name of a header is not UTF-8 or has a NUL, so that it cannot be carried and this dead "
    "letter is without it; the topic, partition and offset say where the original stands"
)

_Decoded: TypeAlias = Article | Rejected | Tombstone | Unchanged | Untagged

log = structlog.get_logger(__name__)


class ChunkPreparer:
    """Decodes and tokenises. One thread uses it.

    Where the tagger takes several chunks at once, threads of its own hand them over. Elsewhere the
    caller's thread does the work, and a chunk is done as soon as it has begun.
    """

    def __init__(self, deserializer: Deserializer, tagger: Tagger) -> None:
        self._deserializer = deserializer
        self._tagger = tagger
        at_once = tagger.encodings_at_once
        self._threads = (
            ThreadPoolExecutor(at_once, thread_name_prefix="nerstream-tokenize")
            if at_once > 1
            else None
        )
        #: Chunks that may have begun: one for each thread, and one that is ready when they are.
        self.most_under_way = at_once + 1 if at_once > 1 else 1

    def close(self) -> None:
        """Wait for what has begun, and end the threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def begin(self, messages: Sequence[RawMessage]) -> Callable[[], list[BatchItem]]:
        """Begin a chunk. Returns a function that blocks until it is done, and then gives one item
        for each message, in the same order."""
        decoded = [self._decode(message) for message in messages]
        articles = [item for item in decoded if isinstance(item, Article)]
        if self._threads is None:
            encoded = self._encode(articles)
            return lambda: _items(decoded, encoded)
        encoding = self._threads.submit(self._encode, articles)
        return lambda: _items(decoded, encoding.result())

    def _decode(self, raw: RawMessage) -> _Decoded:
        if raw.has_unreadable_headers:
            return Rejected(
                raw, RejectCode.INVALID_HEADER, _UNREADABLE_HEADERS, RejectStage.PREPARE
            )
        try:
            return self._deserializer.decode(raw)
        except RejectedMessage as reason:
            return Rejected(raw, RejectCode(reason.code), reason.message, RejectStage.PREPARE)

    def _encode(self, articles: Sequence[Article]) -> list[Encoding | Exception]:
        """Tokenise all at once, or one by one where that fails: one text must not fail the rest.

        Raises:
            NerstreamError: the articles are not to blame; the worker must end.
        """
        if not articles:
            return []
        try:
            return list(self._tagger.encode(articles))
        except NerstreamError:
            raise
        except Exception as failure:
            if len(articles) == 1:
                with log_context(articles[0].raw.trace):
                    log.warning(
                        "an article cannot be tokenised",
                        article=articles[0].id,
                        position=spelled(articles[0].raw.position),
                        error=repr(failure),
                    )
                return [failure]
            return [one for article in articles for one in self._encode([article])]


def _items(decoded: Sequence[_Decoded], encoded: Sequence[Encoding | Exception]) -> list[BatchItem]:
    encodings = iter(encoded)
    return [
        _prepared(item, next(encodings)) if isinstance(item, Article) else item for item in decoded
    ]


def _prepared(article: Article, encoding: Encoding | Exception) -> BatchItem:
    if isinstance(encoding, Exception):
        message = f"the tokenizer failed on this text: {encoding!r}"
        return Rejected(article.raw, RejectCode.TOKENIZATION_FAILED, message, RejectStage.PREPARE)
    return made(PreparedArticle, (article, encoding))
