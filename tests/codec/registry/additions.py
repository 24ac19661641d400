"""What the tests add to a message."""

from __future__ import annotations

from typing import Any

from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.additions import additions_at
from consumer.contracts.messages import Article
from tests.support.fakes import raw

ENTITIES: list[dict[str, Any]] = [
    {"field": "title", "type": "LOC", "text": "Genève", "start": 0, "end": 6, "score": 0.25},
    {"field": "body", "type": "PER", "text": "Ana", "start": 3, "end": 6, "score": 1.0},
]
TAGGING: dict[str, Any] = {
    "model": "m",
    "revision": "r",
    "version": "1",
    "tagged_at": "2026-01-01T00:00:00.000Z",
}
ADDITIONS: dict[str, Any] = {"entities": ENTITIES, "tagging": TAGGING}
#: The same, as a reader of Avro finds it.
IN_AVRO: dict[str, Any] = {
    "entities": ENTITIES,
    "tagging": {**TAGGING, "skipped": None, "language": None},
}

AT_TOP = additions_at(OutputPlace())


def tagged(form: Any, value: bytes, *, shared: bool = True) -> bytes:
    """A message with these additions, by one of the formats.

    Args:
        shared: whether `tagging` is given as the codec gives it.
    """
    form.parse(value)
    tagging = form.shared(TAGGING) if shared else TAGGING
    article = Article(raw(0, value), "a", ())
    written = form.write(article, {"entities": ENTITIES, "tagging": tagging})
    assert isinstance(written, bytes)
    return written
