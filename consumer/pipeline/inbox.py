"""The messages to the publish stage: outcomes from the tag stage, commands from others."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from consumer.contracts.messages import RawMessage, TaggedBatch, TopicPartition
from consumer.pipeline.bookkeeping.ownership import Finished


@dataclass(frozen=True, slots=True)
class Assigned:
    """These partitions are read under these assignment numbers from now on."""

    assignments: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """These partitions go away: commit what is finished, release the rest, then set `done`."""

    partitions: tuple[TopicPartition, ...]
    done: threading.Event


@dataclass(frozen=True, slots=True)
class Lost:
    """These partitions are gone: commit nothing of them."""

    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class LetGo:
    """These messages have no outcome: the worker ends before it tags them, and nothing after them
    has one; or their assignment is over, and they are read again under another."""

    messages: tuple[RawMessage, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing waits in these partitions: commit these offsets, which stand past what no message
    shows, if nothing has come meanwhile."""

    finished: Mapping[TopicPartition, Finished]


PublishMessage: TypeAlias = TaggedBatch | LetGo | Assigned | Revoked | Lost | Idle
