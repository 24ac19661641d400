"""Feed: the latest articles and the latest rejected messages, a few of them, for the page."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from consumer.contracts.messages import Outcome, RawMessage, Rejected, TaggedArticle
from consumer.telemetry.live.excerpt import Node, excerpt, marked

log = logging.getLogger(__name__)

#: Articles, and rejected messages, that are kept.
KEPT = 30
#: Seconds between two of a kind that are taken: more nobody reads, and the worker has to work.
ARTICLE_EVERY_S = 1.0
REJECTED_EVERY_S = 0.5
#: Fields of an article that are shown.
FIELDS = 3
#: Code points of a field that are shown; of the first, which is a headline mostly, half as many.
CHARACTERS = 480
#: Characters of an id, a topic or a rejection's reason.
_SHORT = 200
#: Bytes of a rejected message.
_BYTES = 320


class Feed:
    """Takes what was sent to Kafka; `note` belongs to the thread that sends, the rest to any.

    What it keeps are excerpts, some kilobytes each, so that no article is held in memory for it.
    An excerpt costs a tenth of a millisecond, any other outcome the look at a clock.

    Args:
        clock: monotonic seconds; wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._articles: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._rejected: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._next_article = self._next_rejected = float("-inf")
        self._number = 0

    def note(self, outcome: Outcome) -> None:
        """An outcome whose message was sent. Never raises."""
        try:
            self._note(outcome)
        except Exception:
            # An article that cannot be shown is published all the same.
            log.debug("an outcome cannot be shown on the live page", exc_info=True)

    def _note(self, outcome: Outcome) -> None:
        now = self._clock()
        if isinstance(outcome, TaggedArticle):
            if now >= self._next_article:
                self._next_article = now + ARTICLE_EVERY_S
                self._keep(self._articles, outcome.raw, _article(outcome))
        elif isinstance(outcome, Rejected) and now >= self._next_rejected:
            self._next_rejected = now + REJECTED_EVERY_S
            self._keep(self._rejected, outcome.raw, _rejected(outcome))

    def after(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """What has come since the one of this number, the oldest first; 0 gives all that is kept.

        Each has `n`, its number; `at`, when it was sent, in seconds since the epoch; `late`, the
        seconds from Kafka's timestamp to then, or None; and `place`, its topic, partition and
        offset.
        """
        with self._lock:
            return {
                "articles": [one for one in self._articles if one["n"] > number],
                "rejected": [one for one in self._rejected if one["n"] > number],
            }

    def _keep(self, kept: deque[dict[str, Any]], raw: RawMessage, shown: dict[str, Any]) -> None:
        now = self._wall_clock()
        (topic, partition), offset = raw.position
        shown["at"] = round(now, 1)
        shown["late"] = None
        if raw.timestamp_ms is not None:
            shown["late"] = round(max(0.0, now - raw.timestamp_ms / 1000), 3)
        shown["place"] = f"{topic}/{partition}/{offset}"
        with self._lock:
            self._number += 1
            shown["n"] = self._number
            kept.append(shown)


def _article(outcome: TaggedArticle) -> dict[str, Any]:
    article = outcome.article
    fields: list[dict[str, Any]] = []
    for number, field in enumerate(article.fields[:FIELDS]):
        limit = CHARACTERS // 2 if number == 0 and len(article.fields) > 1 else CHARACTERS
        nodes, goes_on = excerpt(field, outcome.entities, limit)
        fields.append({"name": field.name[:_SHORT], "text": nodes, "cut": goes_on})
    return {
        "id": _short(article.id),
        "fields": fields,
        "more_fields": max(0, len(article.fields) - FIELDS),
        "entities": len(outcome.entities),
        "language": article.language[:_SHORT],
    }


def _rejected(outcome: Rejected) -> dict[str, Any]:
    value = outcome.raw.value or b""
    return {
        "code": str(outcome.code),
        "stage": str(outcome.stage),
        "reason": _short(outcome.message),
        "value": marked(value[:_BYTES].decode("utf-8", "backslashreplace")),
        "cut": len(value) > _BYTES,
        "bytes": len(value),
    }


def _short(text: str) -> list[Node]:
    return marked(text if len(text) <= _SHORT else text[:_SHORT] + "…")
