"""Feed: the shape of what the workers of a fault run are fed, and where each message stands.

Topics, keys and partitions of message `n` follow from its number and the seed of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from zlib import crc32

from consumer.contracts.messages import TopicPartition
from tests.faults.feeding import inputs
from tests.faults.feeding.wires import JSON_WIRE, Wire
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.murmur2 import partition_of

#: So few keys that a worker is never without messages of the same one.
_KEYS = 60


class Shape(StrEnum):
    """How inputs come to the workers, in words for the table."""

    KEYLESS = "keyless"  # the input's partition decides
    KEYED = "keyed"  # the key decides, here as in the output
    MOVED = "keys elsewhere"  # by another hash than the output's, which has fewer partitions
    TRANSACTIONAL = "transactional"  # keyed; some transactions are taken back, some stay open long
    SEVERAL = "two topics"  # the second has fewer partitions, and keys


#: Partitions of the second topic, and of the outcomes of keys that go elsewhere.
_SECOND, _FEWER = 3, 4


@dataclass(frozen=True, slots=True)
class Feed:
    """What is fed.

    Attributes:
        name: of the input topic; a second one has the same and `-2`.
        wire: how the messages are spelled.
    """

    name: str
    shape: Shape = Shape.KEYLESS
    seed: int = 0
    wire: Wire = JSON_WIRE

    @property
    def topics(self) -> Mapping[str, int]:
        """The partitions of each input topic."""
        first = {self.name: inputs.PARTITIONS}
        return {**first, f"{self.name}-2": _SECOND} if self.shape is Shape.SEVERAL else first

    @property
    def partitions(self) -> Iterator[TopicPartition]:
        """Of all input topics."""
        for topic, count in self.topics.items():
            for partition in range(count):
                yield TopicPartition(topic, partition)

    @property
    def output_partitions(self) -> int:
        """Of the output, and of the dead letters."""
        return _FEWER if self.shape is Shape.MOVED else inputs.PARTITIONS

    def key(self, number: int) -> bytes | None:
        """Of message `number`."""
        if self.shape is Shape.KEYLESS or (self.shape is Shape.SEVERAL and self._is_first(number)):
            return None
        return b"key-%d-%d" % (self.seed, inputs.mixed(number, self.seed) % _KEYS)

    def place(self, number: int) -> TopicPartition:
        """The partition that message `number` is written to."""
        key = self.key(number)
        if self.shape is Shape.SEVERAL and key is not None:
            return TopicPartition(f"{self.name}-2", partition_of(key, _SECOND))
        if key is None:
            partition = number % inputs.PARTITIONS
        elif self.shape is Shape.MOVED:
            partition = crc32(key) % inputs.PARTITIONS
        else:
            partition = partition_of(key, inputs.PARTITIONS)
        return TopicPartition(self.name, partition)

    def output_partition(self, number: int) -> int:
        """The partition that its outcome must stand in."""
        key = self.key(number)
        if key is None:
            return self.place(number).partition % self.output_partitions
        return partition_of(key, self.output_partitions)

    def record(self, number: int) -> Record:
        """Message `number` as it is written."""
        plain = self.wire.record(number)
        return replace(plain, key=self.key(number), partition=self.place(number).partition)

    @staticmethod
    def _is_first(number: int) -> bool:
        """Whether a message is of the first of two topics."""
        return number // inputs.PARTITIONS % 2 == 0
