"""BatchBuilder: decides when a batch is full or has waited long enough. No thread, no clock."""

from __future__ import annotations

from consumer.contracts.messages import Batch, BatchItem, PreparedArticle


class BatchBuilder:
    """Collects whole articles up to a budget of tokens and of articles.

    An article larger than the token budget becomes a batch of its own. Messages that no model reads
    count as articles of no tokens, so that order and memory stay bounded by them too.

    Args:
        max_tokens: `batch_tokens`.
        max_articles: `batch_articles`.
        wait_s: `batch_wait_ms` in seconds.
    """

    def __init__(self, max_tokens: int, max_articles: int, wait_s: float) -> None:
        self._max_tokens = max_tokens
        self._max_articles = max_articles
        self._wait_s = wait_s
        self._items: list[BatchItem] = []
        self._tokens = 0
        self._opened_at = 0.0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Whether the batch has reached a budget."""
        return self._tokens >= self._max_tokens or len(self._items) >= self._max_articles

    @property
    def deadline(self) -> float | None:
        """Clock reading at which the first item has waited long enough; None when empty."""
        return self._opened_at + self._wait_s if self._items else None

    def add(self, item: BatchItem, now: float) -> Batch | None:
        """Add an item; the batch that had to be closed to make room for it, if any.

        Args:
            now: clock reading in seconds.
        """
        tokens = item.encoding.tokens if isinstance(item, PreparedArticle) else 0
        closed = None
        if self._items and (self.full or self._tokens + tokens > self._max_tokens):
            closed = self.close(now)
        if not self._items:
            self._opened_at = now
        self._items.append(item)
        self._tokens += tokens
        return closed

    def close(self, now: float) -> Batch:
        """The batch so far; the next item opens a new one. Must not be empty."""
        assert self._items, "an empty batch has no meaning"
        batch = Batch(tuple(self._items), self._tokens, self._opened_at, now)
        self._items = []
        self._tokens = 0
        return batch
