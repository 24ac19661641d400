"""What a replay is to do: which letters go where, under which name."""

from __future__ import annotations

from dataclasses import dataclass

from consumer.dead_letters.marks import Origin
from consumer.dead_letters.routes import Routes


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with the letters that are meant.

    Attributes:
        origin: the cluster and the dead-letter topic.
        routes: where they go.
        rate: letters a second at most; None for as fast as it goes.
        version: nerstream's.
    """

    origin: Origin
    routes: Routes
    rate: float | None
    version: str


def transactional_id(dead_letter_topic: str) -> str:
    """The name that all replays of one topic write under, whatever their settings, so that there
    is one of them at a time."""
    return f"nerstream.replay@{dead_letter_topic}"
