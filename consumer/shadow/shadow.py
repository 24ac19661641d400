"""Shadow: a share of the articles through a second model, and how far the two agree.

It never touches an outcome. It takes articles only while the worker has time, waits for nobody, and
what fails here stops nothing but itself.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from consumer.contracts.choices import FoundBy, ShadowFate
from consumer.contracts.errors import NerstreamError
from consumer.contracts.messages import Entity, Outcome, TaggedArticle
from consumer.evaluation.comparison import Difference, agreement
from consumer.shadow.process import Answers, Call
from consumer.shadow.queue import Served, ShadowQueue, skipped
from consumer.shadow.sample import Sample

#: Articles that go to the second model at once.
_AT_ONCE = 8

#: Characters of an entity that a line shows.
_CHARACTERS = 80

_MINUTE_S = 60.0

log = structlog.get_logger(__name__)


class ShadowObserver(Protocol):
    """Hears what becomes of the sample; each method is quick and never raises."""

    def shadow_articles(self, fate: ShadowFate, articles: int) -> None:
        """So many articles of the sample came to this end."""

    def shadow_entities(self, found_by: FoundBy, by_type: Counter[str]) -> None:
        """So many entities, by type, were found by both models or by one alone."""

    def shadow_running(self, running: bool) -> None:
        """The second model answers, or does so no more."""


class Model(Protocol):
    """What `ShadowChild` does."""

    def ask(self, call: Call) -> Answers: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


class Shadow:
    """Fulfils `consumer.contracts.ports.Shadow`.

    Args:
        model: the second one, loaded; closed with this.
        sample: which articles it tags too.
        batch_tokens, batch_articles: a batch that has one of these was made under load.
        examples: differences that are logged a minute at most.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        model: Model,
        sample: Sample,
        observer: ShadowObserver,
        *,
        batch_tokens: int,
        batch_articles: int,
        examples: int,
        queue: ShadowQueue | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._takes = sample.takes
        self._observer = observer
        self._batch_tokens = batch_tokens
        self._batch_articles = batch_articles
        self._queue = queue or ShadowQueue()
        self._examples = Examples(examples, clock)
        self._has_failed = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="nerstream-shadow", daemon=True)

    def start(self) -> None:
        """Begin to compare."""
        self._observer.shadow_running(True)
        self._thread.start()

    def offer(self, outcomes: Sequence[Outcome], more_waits: bool) -> None:
        """As `consumer.contracts.ports.Shadow.offer`."""
        tagged = [one for one in outcomes if isinstance(one, TaggedArticle)]
        chosen = [one for one in tagged if self._takes(one.article)]
        if not chosen:
            return
        if self._has_failed:
            self._observer.shadow_articles(ShadowFate.FAILED, len(chosen))
            return
        is_busy = more_waits or self._is_full(outcomes, tagged)
        taken = 0
        if not is_busy and self._queue.is_free:
            taken = self._queue.offer(
                [
                    Served(
                        one.article.id, one.article.raw.position, one.article.fields, one.entities
                    )
                    for one in chosen
                ]
            )
        if taken < len(chosen):
            self._observer.shadow_articles(skipped(is_busy), len(chosen) - taken)

    def close(self) -> None:
        """End, whatever is under way."""
        self._is_closing = True
        self._queue.close()
        self._model.kill()
        if self._thread.ident is not None:
            self._thread.join()
        self._model.close()

    def _is_full(self, outcomes: Sequence[Outcome], tagged: Sequence[TaggedArticle]) -> bool:
        if len(outcomes) >= self._batch_articles:
            return True
        return sum(one.tokens for one in tagged) >= self._batch_tokens

    def _run(self) -> None:
        while served := self._queue.take(_AT_ONCE):
            try:
                answers = self._model.ask([one.fields for one in served])
                for one, answer in zip(served, answers, strict=True):
                    self._compare(one, answer)
            except Exception as failure:
                self._fail(failure, len(served))
                return

    def _fail(self, failure: Exception, under_way: int) -> None:
        if self._is_closing:
            return
        self._has_failed = True
        left = self._queue.close()
        self._observer.shadow_articles(ShadowFate.FAILED, under_way + left)
        self._observer.shadow_running(False)
        told = str(failure) if isinstance(failure, NerstreamError) else repr(failure)
        log.error(
            "the shadow model has failed; the articles are not touched by it, and nothing is "
            "compared until the worker is started again",
            error=told,
        )

    def _compare(self, served: Served, answer: tuple[Entity, ...] | None) -> None:
        if answer is None:
            self._observer.shadow_articles(ShadowFate.REFUSED, 1)
            return
        shared, differences = agreement(served.id, served.entities, answer)
        by: dict[FoundBy, Counter[str]] = {one: Counter() for one in FoundBy}
        by[FoundBy.BOTH].update(entity.type for entity in shared)
        for one in differences:
            if one.expected is not None:
                by[FoundBy.SERVING][one.expected.type] += 1
            if one.found is not None:
                by[FoundBy.SHADOW][one.found.type] += 1
        for found_by, by_type in by.items():
            if by_type:
                self._observer.shadow_entities(found_by, by_type)
        self._observer.shadow_articles(ShadowFate.COMPARED, 1)
        self._examples.tell(served, differences)


class Examples:
    """Logs differences, so many a minute at most; how many were passed over is told with the next.

    Args:
        most: a minute; 0 logs none.
        clock: monotonic seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._minute_ends = clock() + _MINUTE_S
        self._told = self._passed_over = 0

    def tell(self, served: Served, differences: Sequence[Difference]) -> None:
        """Log those that may be."""
        if self._clock() >= self._minute_ends:
            self._minute_ends = self._clock() + _MINUTE_S
            self._told = 0
        for one in differences:
            if self._told >= self._most:
                self._passed_over += 1
                continue
            self._told += 1
            (topic, partition), offset = served.position
            log.info(
                "the shadow model differs",
                article=served.id,
                position=f"{topic}/{partition}/{offset}",
                serving=_shown(one.expected),
                shadow=_shown(one.found),
                passed_over=self._passed_over,
            )
            self._passed_over = 0


def _shown(entity: Entity | None) -> dict[str, Any] | None:
    if entity is None:
        return None
    text = entity.text if len(entity.text) <= _CHARACTERS else f"{entity.text[:_CHARACTERS]}…"
    return {
        "field": entity.field,
        "type": entity.type,
        "text": text,
        "start": entity.start,
        "end": entity.end,
        "score": round(entity.score, 3),
    }
