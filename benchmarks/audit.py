"""What an audit takes: `python -m benchmarks.audit`; writes `benchmarks/results/audit.json`.

Millions of small messages, made up as they are asked for, go through the command in the place of
what the brokers would send; so this is the audit's own memory and time. The client's buffers come
on top of it, some 40 MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from consumer.audit.audit import Role
from consumer.audit.ranges import Range
from consumer.codec.article_codec import Codec
from consumer.commands.audit.command import audited
from consumer.commands.audit.plan import Plan
from consumer.contracts.headers import with_source
from consumer.contracts.messages import (
    Article,
    ModelInfo,
    Position,
    RawMessage,
    TaggedArticle,
    TopicPartition,
)
from consumer.kafka.tools.ranges import Taken
from consumer.settings.schema import Settings

RESULT = Path(__file__).resolve().parent / "results" / "audit.json"

PARTITIONS = 4

#: Messages that a look brings.
_TAKEN = 1_000


class MadeUp:
    """Reads made-up messages in the place of the brokers."""

    def __init__(self) -> None:
        codec = Codec(("title",))
        raw = RawMessage(Position(TopicPartition("in", 0), 0), b"k", self._value(0), (), 1, 0)
        article = codec.decode(raw)
        assert isinstance(article, Article)
        model = ModelInfo("made-up", "0", "cpu", "float32", ())
        whole = codec.encode(TaggedArticle(article, (), 1, model), 1_000)
        self._added = whole[len(self._value(0)) - 1 :]

    def read(self, asked: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Taken]:
        """As `RangeReader.read`."""
        done = 0
        for partition, (start, end) in asked.items():
            make = self._input if partition.topic == "in" else self._output
            for first in range(start, end, _TAKEN):
                offsets = range(first, min(first + _TAKEN, end))
                done += len(offsets)
                yield Taken([(make(partition, one), True) for one in offsets], done=done)

    @staticmethod
    def _value(offset: int) -> bytes:
        return b'{"id":"%d","title":"Rain in Lisbon, wind in Oslo"}' % offset

    def _input(self, partition: TopicPartition, offset: int) -> RawMessage:
        return RawMessage(Position(partition, offset), b"k", self._value(offset), (), offset, 0)

    def _output(self, partition: TopicPartition, offset: int) -> RawMessage:
        source = Position(TopicPartition("in", partition.partition), offset)
        value = self._value(offset)[:-1] + self._added
        headers = tuple(with_source((), source))
        return RawMessage(Position(partition, offset), b"k", value, headers, offset, 0)


def main() -> None:
    """Audit, and write what it took."""
    parser = argparse.ArgumentParser(description="memory and time of an audit")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--machine", required=True, help="what to call this machine")
    asked = parser.parse_args()
    size = Range(0, asked.messages // PARTITIONS)
    inputs = {TopicPartition("in", part): size for part in range(PARTITIONS)}
    outcomes = {TopicPartition("out", part): size for part in range(PARTITIONS)}
    ends = {one: end for one, (_, end) in inputs.items()}
    plan = Plan(inputs, outcomes, {"out": Role.OUTPUT}, (), (), frozenset(), ends)
    began, cpu = time.monotonic(), time.process_time()
    found = audited(plan, Settings(), MadeUp(), 20, lambda _: None)
    assert found.enriched == found.inputs == PARTITIONS * size.end
    assert not found.wrong()
    record = {
        "machine": asked.machine,
        "inputs": found.inputs,
        "outcomes": found.enriched,
        "seconds": round(time.monotonic() - began, 1),
        "processor_us_per_message": round(
            (time.process_time() - cpu) / (2 * found.inputs) * 1e6, 2
        ),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "python": sys.version.split()[0],
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
