"""Stale: what nothing can be committed of any more is found, and nobody looks for it in vain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.bookkeeping.stale import Stale
from tests.support.fakes import P0, P1, raw


class Rig:
    """The poll stage, and a stage that sifts."""

    def __init__(self) -> None:
        self.ownership = Ownership()
        self.in_flight = InFlight(1_000, 1_000_000)
        self.ownership.add({P0: 1, P1: 1})
        self.stale = Stale(self.ownership, self.in_flight)
        self.looks = 0

    def read(self, *offsets: int, partition: TopicPartition = P0, assignment: int = 1) -> list[str]:
        self.in_flight.add(len(offsets), 0)
        return [f"{partition.partition}/{offset}/{assignment}" for offset in offsets]

    def sift(self, items: Sequence[str]) -> tuple[list[str], list[int]]:
        kept, stale = self.stale.sift(items, self._raw)
        return list(kept), [message.position.offset for message in stale]

    def _raw(self, item: str) -> RawMessage:
        self.looks += 1
        partition, offset, assignment = map(int, item.split("/"))
        return raw(offset, partition=(P0, P1)[partition], assignment=assignment)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_what_was_read_before_a_rewind_is_stale_and_its_neighbours_are_not(rig: Rig) -> None:
    old, other = rig.read(0, 1), rig.read(7, partition=P1)
    rig.ownership.add({P0: 2})
    again = rig.read(0, 1, assignment=2)
    assert rig.sift([old[0], other[0], old[1]]) == (other, [0, 1])
    assert rig.sift(again) == (again, [])


def test_what_went_to_another_worker_is_stale_also_when_it_comes_back(rig: Rig) -> None:
    old = rig.read(0, 1)
    rig.ownership.drop([P0])
    assert rig.sift(old[:1]) == ([], [0])
    rig.ownership.add({P0: 5})
    assert rig.sift(old[1:]) == ([], [1])


def test_a_change_in_the_midst_of_what_is_stale_is_another_change(rig: Rig) -> None:
    old = rig.read(*range(4))
    rig.ownership.add({P0: 2})
    assert rig.sift(old[:3]) == ([], [0, 1, 2])
    more = rig.read(*range(10, 20), assignment=2)
    rig.ownership.add({P0: 3})
    assert rig.sift(old[3:]) == ([], [3])
    assert rig.sift(more) == ([], list(range(10, 20)))


def test_it_looks_at_as_many_as_were_in_flight_at_the_change_and_at_no_more(rig: Rig) -> None:
    items = rig.read(*range(6), partition=P1)
    assert rig.sift(items[:2]) == (items[:2], [])
    assert rig.looks == 0
    rig.ownership.add({P0: 2})
    assert rig.sift(items[2:4]) == (items[2:4], [])
    later = rig.read(*range(6, 12), partition=P1)
    assert rig.sift(items[4:]) == (items[4:], [])
    assert rig.looks == 4
    # Six were in flight, of which this stage had passed two before: it looks at two too many.
    assert rig.sift(later[:2]) == (later[:2], [])
    assert rig.looks == 6
    assert rig.sift(later[2:]) == (later[2:], [])
    assert rig.looks == 6
