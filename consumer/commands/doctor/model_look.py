"""Loads the model as the worker would, and measures it for a few seconds."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

import orjson

from consumer.bench.articles import news_articles
from consumer.contracts.errors import DeviceFailed, ModelError, TokenizerFailed
from consumer.contracts.messages import (
    Article,
    Position,
    PreparedArticle,
    RawMessage,
    TaggingResult,
    TextField,
    TopicPartition,
)
from consumer.contracts.ports import Tagger
from consumer.doctor.facts import ModelFacts
from consumer.loading import checksums_of, refined, taggers_from
from consumer.pipeline.batching import BatchBuilder
from consumer.settings.schema import Settings
from consumer.shadow.loading import ShadowLoading

#: Seconds of measuring, after the first batch; where one batch takes longer, one is all.
MEASURE_S = 3.0

#: Articles that stand in for those of the input, where none were read.
_STAND_INS = 300

#: Articles that are tokenised in one call.
_CHUNK = 64


def look_at_model(
    settings: Settings, articles: Sequence[Article]
) -> tuple[ModelFacts, tuple[int, ...]]:
    """Load and measure. Blocks for seconds; for a download where the model is not here yet.

    Args:
        articles: of the input; where there are none, made-up news stands in.

    Returns:
        What was found, and the tokens of each of these articles.

    Raises:
        SettingsError: `window_tokens` leaves no room for text, or the settings name a type that no
            model answers with.
    """
    began = time.monotonic()
    choices = _Choices()
    try:
        with choices:
            tagger = refined(taggers_from(settings), settings)
        checksums = checksums_of(settings)
        load_s = time.monotonic() - began
        measured_on = f"{len(articles):,} articles of the sample"
        prepared = _prepared(tagger, articles)
        tokens = tuple(one.encoding.tokens for one in prepared)
        if not prepared:
            prepared = _prepared(tagger, stand_ins(next(iter(settings.models), "")))
            measured_on = "made-up news"
        measured = _measure(settings, tagger, prepared)
    except (ModelError, TokenizerFailed, DeviceFailed) as problem:
        return ModelFacts(problem=str(problem)), ()
    infos = tagger.models
    return (
        ModelFacts(
            name=", ".join(one.name for one in infos),
            revision=", ".join(one.revision for one in infos),
            sha256=checksums,
            device=infos[0].device,
            dtype=infos[0].dtype,
            is_of_hub=any(not one.revision.startswith("sha256:") for one in infos),
            how="; ".join(choices.found.values()),
            load_s=load_s,
            measured_on=measured_on,
            batch_tokens=measured.batch_tokens,
            batch_s=measured.batch_s,
            out_of_memory_splits=measured.splits,
            articles_per_s=measured.articles / measured.seconds,
            tokens_per_s=measured.tokens / measured.seconds,
        ),
        tokens,
    )


def look_at_shadow(settings: Settings) -> None:
    """Load the second model as the worker does, where the settings name one. Blocks.

    Raises:
        SettingsError: it cannot be loaded.
    """
    if not settings.shadow_model:
        return
    with contextlib.closing(ShadowLoading(settings)) as loading:
        loading.model()


def stand_ins(language: str = "") -> list[Article]:
    """Made-up news, as long as real ones.

    Args:
        language: which it passes for; what has a model for each needs to know.
    """
    found = []
    for number, value in enumerate(news_articles(_STAND_INS, seed=1)):
        document = orjson.loads(value)
        texts = (document.get(name) for name in ("title", "body"))
        fields = tuple(TextField("body", text) for text in texts if text)
        at = Position(TopicPartition("made-up", 0), number)
        raw = RawMessage(at, None, value, (), None, 0)
        found.append(Article(raw, str(number), fields, language=language))
    return found


class _Measured:
    """What tagging took.

    Attributes:
        batch_tokens: of the batch that has most.
        batch_s: the longest time that a batch took.
    """

    def __init__(self) -> None:
        self.articles = self.tokens = self.splits = self.batch_tokens = 0
        self.batch_s = 0.0
        self.seconds = 0.0


def _measure(settings: Settings, tagger: Tagger, prepared: Sequence[PreparedArticle]) -> _Measured:
    """Tag batches like the worker's, over and over, for `MEASURE_S`."""
    batches = _batches(settings, prepared)
    # The first pass finds out how to run; on a CPU a small one will do.
    tagger.begin(batches[0][:8], _nothing)()
    if tagger.overlaps:
        for batch in batches[:2]:
            tagger.begin(batch, _nothing)()
    found = _Measured()
    at_once = 2 if tagger.overlaps else 1
    under_way: deque[tuple[Sequence[PreparedArticle], Callable[[], TaggingResult], float]] = deque()
    began = time.monotonic()
    endless = itertools.cycle(batches)
    while found.seconds < MEASURE_S:
        batch = next(endless)
        under_way.append((batch, tagger.begin(batch, _nothing), time.monotonic()))
        if len(under_way) < at_once:
            continue
        done, answers, since = under_way.popleft()
        result = answers()
        now = time.monotonic()
        found.articles += len(done)
        found.tokens += result.tokens
        found.splits += result.out_of_memory_splits
        found.batch_tokens = max(found.batch_tokens, result.tokens)
        found.batch_s = max(found.batch_s, now - since)
        found.seconds = now - began
    for _, answers, _ in under_way:
        answers()
    return found


def _batches(
    settings: Settings, prepared: Sequence[PreparedArticle]
) -> list[list[PreparedArticle]]:
    """Full batches, the first one as full as the settings let it be; articles come again where
    there are too few."""
    builder = BatchBuilder(settings.batch_tokens, settings.batch_articles, 0.0)
    batches = []
    for number, one in enumerate(itertools.cycle(prepared)):
        closed = builder.add(one, 0.0)
        if closed is not None:
            batches.append([item for item in closed.items if isinstance(item, PreparedArticle)])
            if number >= len(prepared):
                # The fullest first, which takes longest: where a batch takes seconds, one is all.
                return sorted(batches, key=_tokens, reverse=True)
    raise AssertionError("there is always another article")


def _tokens(batch: Sequence[PreparedArticle]) -> int:
    return sum(one.encoding.tokens for one in batch)


def _prepared(tagger: Tagger, articles: Sequence[Article]) -> list[PreparedArticle]:
    found = []
    for begin in range(0, len(articles), _CHUNK):
        chunk = articles[begin : begin + _CHUNK]
        encodings = tagger.encode(chunk)
        found += [PreparedArticle(*both) for both in zip(chunk, encodings, strict=True)]
    return found


class _Choices(logging.Handler):
    """Hears which engine and precision is selected for each model."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: dict[str, str] = {}
        self._logger = logging.getLogger("consumer.tagging.select")
        self._level = self._logger.level

    def __enter__(self) -> None:
        self._logger.addHandler(self)
        self._logger.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        """The last line about a model is the choice."""
        name, colon, how = record.getMessage().removeprefix("model ").partition(": ")
        if colon and record.levelno == logging.INFO:
            self.found[name] = how


def _nothing() -> None:
    pass
