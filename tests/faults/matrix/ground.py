"""Ground: the topics and the consumer group that a run has to itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.integration.rigs import helpers

#: A time far from now must not have the broker refuse a message, delete it, or begin a file for
#: each.
TOPIC_CONFIG: Mapping[str, str] = {
    "retention.ms": "-1",
    "segment.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one run takes place; each topic has the same number of partitions."""

    bootstrap: str
    input: str
    output: str
    dead_letters: str
    group: str
    partitions: int

    def settings(self) -> dict[str, Any]:
        """The worker's settings for it."""
        return {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead_letters,
            "group_id": self.group,
            "delivery": "exactly_once",
        }


@contextmanager
def new_ground(
    bootstrap: str, partitions: int, output_config: Mapping[str, str] | None = None
) -> Iterator[Ground]:
    """Topics of unique names, deleted afterwards.

    Args:
        output_config: further properties of the output topic.
    """
    mark = uuid.uuid4().hex[:12]
    names = [f"{name}-{mark}" for name in ("in", "out", "dead")]
    try:
        for name in names:
            extra = (output_config or {}) if name.startswith("out-") else {}
            helpers.create_topic(bootstrap, name, partitions, {**TOPIC_CONFIG, **extra})
        taken, output, dead = names
        yield Ground(bootstrap, taken, output, dead, f"group-{mark}", partitions)
    finally:
        helpers.delete_topics(bootstrap, names)
