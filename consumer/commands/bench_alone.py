"""The tagger, or its tokeniser, without the worker around it: what the worker is measured by."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from consumer.articles import (
    Article,
    Position,
    PreparedArticle,
    RawMessage,
    TopicPartition,
)
from consumer.codec import Codec
from consumer.pipeline.batching import BatchBuilder
from consumer.pipeline.prepare import CHUNK_MESSAGES
from consumer.settings import Settings

if TYPE_CHECKING:
    from consumer.tagging.tagger import Tagger


def prepared_batches(
    settings: Settings, tagger: Tagger, values: Sequence[bytes]
) -> list[list[PreparedArticle]]:
    """The batches that the worker makes of these messages when it always has enough of them."""
    builder = BatchBuilder(settings.batch_tokens, settings.batch_articles, 0.0)
    batches = []
    for articles in _chunks(settings, values):
        encodings = tagger.encode([article.fields for article in articles])
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
    begun before the last is finished where the tagger overlaps. The same then without finding
    entities in the model's answers.

    Returns:
        `tokens_per_s`, `articles_per_s`, `batch_s` (mean), `seconds`; and
        `model_only_tokens_per_s`.
    """
    # A processor finds out at the first pass how to run its shape; a GPU captures it at the second.
    for _ in range(2 if tagger.overlaps else 1):
        for batch in batches if tagger.overlaps else batches[:1]:
            tagger.tag(batch, _nothing)
    model_only = _repeated(tagger.compute, tagger.overlaps, batches, seconds)
    tagging = _repeated(tagger.begin, tagger.overlaps, batches, seconds)
    return {**tagging, "model_only_tokens_per_s": model_only["tokens_per_s"]}


def _repeated(
    begin: Callable[[Sequence[PreparedArticle], Callable[[], None]], Callable[[], object]],
    overlaps: bool,
    batches: Sequence[Sequence[PreparedArticle]],
    seconds: float,
) -> dict[str, float]:
    under_way: deque[tuple[Sequence[PreparedArticle], Callable[[], object]]] = deque()
    tokens = articles = runs = 0
    started = time.perf_counter()
    for batch in itertools.cycle(batches):
        under_way.append((batch, begin(batch, _nothing)))
        if len(under_way) < (2 if overlaps else 1):
            continue
        finished, answers = under_way.popleft()
        answers()
        tokens += sum([article.encoding.tokens for article in finished])
        articles += len(finished)
        runs += 1
        took = time.perf_counter() - started
        # Whole rounds where there is time for one, so that long and short batches are in it.
        if took > seconds and (runs >= len(batches) or took > 2 * seconds):
            break
    for _, answers in under_way:
        answers()
    return _figures(tokens, articles, runs, took)


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
    codec = Codec(settings.text_fields)
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
