"""What the tests add to a message."""

from __future__ import annotations

from typing import Any

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
