"""Stamps: each committed offset says to which topic it belongs, and to which bounded run.

Kafka keeps some text of the group's own with each offset. Ours names the topic's id. So a later
worker can tell an offset of this topic from one of an earlier topic of the same name. In a bounded
run the text also says where the run begins and ends, and what was gone before it was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import confluent_kafka

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.rebalance import NO_EPOCH

_MARK = "nerstream"
_ID = "topic-id="
_SPAN = re.compile(r"run=(\d+)\.\.(\d+)/(\d+)/(\S+)")
_GONE = re.compile(r"gone=(\d+)")


class Span(NamedTuple):
    """What a run reads of one partition, as it is kept beside each of its committed offsets.

    Attributes:
        start: offset of the first message.
        end: offset behind the last; the same as `start` where there is nothing to read.
        partitions: how many the run has in all, so that one whose offset is gone is missed.
        asked: the bounds that a person asked for, without blanks, so that a start with others is
            told apart.
        gone: offsets from the start to the committed one that were removed before they were read.
    """

    start: int
    end: int
    partitions: int
    asked: str
    gone: int = 0

    def written(self) -> str:
        """As words of the text that Kafka keeps with an offset."""
        span = f"run={self.start}..{self.end}/{self.partitions}/{self.asked}"
        return f"{span} gone={self.gone}" if self.gone else span

    @classmethod
    def read(cls, words: list[str]) -> Span | None:
        """The span among the words of such a text."""
        gone = sum(int(found[1]) for found in map(_GONE.fullmatch, words) if found)
        for word in words:
            found = _SPAN.fullmatch(word)
            if found is not None:
                start, end, partitions, asked = found.groups()
                return cls(int(start), int(end), int(partitions), asked, gone)
        return None


def topic_id_in(metadata: str | None) -> str | None:
    """The topic's id in the text of a committed offset; None where another program wrote it."""
    ids = [word.removeprefix(_ID) for word in _words(metadata) if word.startswith(_ID)]
    return ids[0] if ids else None


def span_in(metadata: str | None) -> Span | None:
    """The span of a bounded run in such a text."""
    return Span.read(_words(metadata))


def stamped(
    offsets: Mapping[TopicPartition, int],
    ids: Mapping[TopicPartition, str],
    epochs: Mapping[TopicPartition, int],
    spans: Mapping[TopicPartition, Span] | None = None,
) -> list[Any]:
    """Offsets to commit as the client's partitions, with the ids and the epochs that are known.

    Args:
        spans: of a bounded run.
    """
    return [
        confluent_kafka.TopicPartition(
            one.topic,
            one.partition,
            offset,
            _text(ids.get(one), (spans or {}).get(one)),
            epochs.get(one, NO_EPOCH),
        )
        for one, offset in offsets.items()
    ]


def _words(metadata: str | None) -> list[str]:
    first, *words = (metadata or "").split(" ")
    return words if first == _MARK else []


def _text(topic_id: str | None, span: Span | None) -> str:
    words = [f"{_ID}{topic_id}"] if topic_id else []
    if span is not None:
        words.append(span.written())
    return " ".join((_MARK, *words)) if words else ""
