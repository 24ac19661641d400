"""The tagger, or its tokeniser, without the worker around it: what the worker is measured by."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from consumer.contracts.messages import (
    Article,
    Position,
    PreparedArticle,
    RawMessage,
    TopicPartition,
)
from consumer.loading import codec_from
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.prepare import CHUNK_MESSAGES
from consumer.settings.schema import Settings

if TYPE_CHECKING:
    from consumer.tagging.tagger import Tagger

#: Turns of each way of running the batches: a machine is not as fast at any time.
_TURNS = 4


def prepared_batches(
    settings: Settings, tagger: Tagger, values: Sequence[bytes]
) -> list[list[PreparedArticle]]:
    """The batches that the worker makes of these messages when it always has enough of them."""
    builder = BatchBuilder(settings.batch_tokens, settings.batch_articles, 0.0)
    batches = []
    for articles in _chunks(settings, values):
        encodings = tagger.encode(articles)
        for article, encoding in zip(articles, encodings, strict=True):
            closed = builder.add(PreparedArticle(article, encoding), 0.0)
            batches += [closed] if closed is not None else []
    batches.append(builder.close(0.0))
    return [
        [item for item in batch.items if isinstance(item, PreparedArticle)] for batch in batches
    ]


def measure_model(
    tagger: Tagger, batches: Sequence[Sequence[PreparedArticle]], seconds: float
) -> dict[str, float]:
    """Tag the batches, over and over, for so long; as the worker's stage does, the next one is
    begun before the last is finished where the tagger overlaps. And, in turns with that, the same
    without finding entities in the model's answers.

    Returns:
        `tokens_per_s`, `articles_per_s`, `batch_s` (mean), `seconds`; and
        `model_only_tokens_per_s`.
    """
    # A processor finds out at the first pass how to run its shape; a GPU captures it at the second.
    is_gpu = tagger.info.device != "cpu"
    for _ in range(2 if is_gpu else 1):
        for batch in batches if is_gpu else batches[:1]:
            tagger.tag(batch, _nothing)
    ways = [_Way(begin, tagger.overlaps, batches) for begin in (tagger.begin, tagger.compute)]
    for turn in range(_TURNS):
        for way in ways if turn % 2 else ways[::-1]:
            way.run(seconds / _TURNS)
    tagging, model_only = (way.figures() for way in ways)
    return {**tagging, "model_only_tokens_per_s": model_only["tokens_per_s"]}


class _Way:
    """Batches through a tagger in one way, over and over, a while at a time.

    Args:
        begin: begins one; gives what waits for its answers.
        overlaps: whether one is begun before the one before is finished.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[PreparedArticle], Callable[[], None]], Callable[[], object]],
        overlaps: bool,
        batches: Sequence[Sequence[PreparedArticle]],
    ) -> None:
        self._begin = begin
        self._at_once = 2 if overlaps else 1
        self._batches = itertools.cycle(batches)
        self._round = len(batches)
        self._tokens = self._articles = self._runs = 0
        self._took = 0.0

    def run(self, seconds: float) -> None:
        """Go on for so long; to the end of a round, so that long and short batches are in it, where
        that does not take as long again."""
        under_way: deque[tuple[Sequence[PreparedArticle], Callable[[], object]]] = deque()
        runs, took, started = 0, 0.0, time.perf_counter()
        while took <= seconds or (runs % self._round and took <= 2 * seconds):
            batch = next(self._batches)
            under_way.append((batch, self._begin(batch, _nothing)))
            if len(under_way) < self._at_once:
                continue
            finished, answers = under_way.popleft()
            answers()
            self._tokens += sum([article.encoding.tokens for article in finished])
            self._articles += len(finished)
            runs += 1
            took = time.perf_counter() - started
        for _, answers in under_way:
            answers()
        self._runs += runs
        self._took += took

    def figures(self) -> dict[str, float]:
        """Of all that it did."""
        return _figures(self._tokens, self._articles, self._runs, self._took)


def measure_tokenizer(
    settings: Settings, tagger: Tagger, values: Sequence[bytes], seconds: float, at_once: int
) -> dict[str, float]:
    """Tokenise the articles, over and over, for so long; nothing is done with the tokens.

    Args:
        at_once: calls under way at once, as many as the worker has: what one found is let go while
            another is tokenised.

    Returns:
        As `measure_model`; a batch is what the worker tokenises in one call.
    """
    calls = itertools.cycle(
        [
            ([field.text for article in articles for field in article.fields], len(articles))
            for articles in _chunks(settings, values)
        ]
    )
    started = time.perf_counter()

    def tokenise() -> tuple[int, int, int]:
        tokens = articles = runs = 0
        while time.perf_counter() - started < seconds:
            texts, size = next(calls)
            encodings = tagger.tokenizer.encode_batch(texts, add_special_tokens=False)
            tokens += sum(len(encoding) for encoding in encodings)
            articles += size
            runs += 1
        return tokens, articles, runs

    with ThreadPoolExecutor(at_once) as threads:
        parts = [threads.submit(tokenise) for _ in range(at_once)]
        tokens, articles, runs = (
            sum(one) for one in zip(*(p.result() for p in parts), strict=True)
        )
    return _figures(tokens, articles, runs, time.perf_counter() - started)


def _figures(tokens: int, articles: int, runs: int, took: float) -> dict[str, float]:
    return {
        "tokens_per_s": tokens / took,
        "articles_per_s": articles / took,
        "batch_s": took / runs,
        "seconds": took,
    }


def _chunks(settings: Settings, values: Sequence[bytes]) -> list[list[Article]]:
    codec = codec_from(settings)
    articles = []
    for offset, value in enumerate(values):
        position = Position(TopicPartition("bench", 0), offset)
        decoded = codec.decode(RawMessage(position, None, value, (), None, 0))
        assert isinstance(decoded, Article)
        articles.append(decoded)
    return [
        articles[start : start + CHUNK_MESSAGES]
        for start in range(0, len(articles), CHUNK_MESSAGES)
    ]


def _nothing() -> None:
    """Progress is of no interest here."""
