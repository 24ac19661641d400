"""Ownership: what may be committed, and how far behind each partition is."""

from __future__ import annotations

from collections.abc import Mapping

from consumer.contracts.messages import TopicPartition
from consumer.pipeline.bookkeeping.ownership import Finished, Ownership, lags
from tests.support.fakes import P0, P1, raw


def lagging(
    ownership: Ownership, ends: Mapping[TopicPartition, int], reads: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    return lags(ends, ownership.positions(reads))


def test_owns_what_is_assigned_by_its_number() -> None:
    ownership = Ownership()
    ownership.add({P0: 1, P1: 2})
    assert ownership.count == 2
    assert ownership.owns({P0: 1, P1: 2})
    assert ownership.owns({})
    ownership.drop([P1])
    assert ownership.count == 1
    assert not ownership.owns({P0: 1, P1: 2})
    assert ownership.owns({P0: 1})


def test_a_partition_that_came_back_is_not_the_one_that_went() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    ownership.drop([P0])
    ownership.add({P0: 2})
    assert not ownership.owns({P0: 1})
    assert ownership.owns({P0: 2})


def test_it_holds_what_was_read_under_the_number_of_now_and_tells_of_each_change() -> None:
    ownership = Ownership()
    before = ownership.changes
    assert not ownership.holds(raw(0, assignment=1))
    ownership.add({P0: 1})
    assert ownership.changes != before
    assert ownership.holds(raw(0, assignment=1))
    before = ownership.changes
    ownership.add({P0: 2})
    assert ownership.changes != before
    assert not ownership.holds(raw(0, assignment=1))
    assert ownership.holds(raw(0, assignment=2))
    before = ownership.changes
    ownership.drop([P0])
    assert ownership.changes != before
    assert not ownership.holds(raw(0, assignment=2))


def test_dropping_what_was_never_held_does_nothing() -> None:
    ownership = Ownership()
    ownership.drop([P0])
    assert ownership.count == 0


def test_lag_counts_what_is_read_and_uncommitted() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    for offset in range(10, 15):
        ownership.delivered([raw(offset, partition=P0)])
    assert lagging(ownership, {P0: 20}, {P0: 15}) == {P0: 10}
    ownership.committed({P0: 13})
    assert lagging(ownership, {P0: 20}, {P0: 15}) == {P0: 7}
    ownership.committed({P0: 15})
    assert lagging(ownership, {P0: 20}, {P0: 15}) == {P0: 5}


def test_lag_is_zero_at_the_end_past_transaction_markers() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    ownership.delivered([raw(7, partition=P0)])
    assert lagging(ownership, {P0: 9}, {P0: 9}) == {P0: 2}  # 7 itself is uncommitted
    ownership.committed({P0: 8})
    assert lagging(ownership, {P0: 9}, {P0: 9}) == {P0: 0}


def test_lag_is_known_before_the_first_message() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    assert lagging(ownership, {P0: 9}, {P0: 9}) == {P0: 0}
    assert lagging(ownership, {P0: 9}, {P0: 4}) == {P0: 5}


def test_unknown_ends_and_positions_are_left_out() -> None:
    ownership = Ownership()
    ownership.add({P0: 1, P1: 2})
    assert lagging(ownership, {P0: 9}, {}) == {}
    assert lagging(ownership, {P0: 9}, {P0: 3, P1: 3}) == {P0: 6}


def test_an_end_that_is_behind_is_no_negative_lag() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    assert lagging(ownership, {P0: 5}, {P0: 8}) == {P0: 0}


def test_lag_after_a_rewind_is_from_where_reading_stands() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    for offset in range(4):
        ownership.delivered([raw(offset, partition=P0)])
    ownership.committed({P0: 4})
    ownership.add({P0: 2})
    assert lagging(ownership, {P0: 10}, {P0: 2}) == {P0: 8}


def test_what_is_not_ours_has_no_lag() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    ownership.delivered([raw(3, partition=P1)])
    ownership.committed({P1: 4})
    ownership.drop([P0])
    assert lagging(ownership, {P0: 10, P1: 10}, {P0: 2, P1: 4}) == {}


def test_a_partition_is_finished_where_reading_stands_once_all_is_committed() -> None:
    ownership = Ownership()
    ownership.add({P0: 1, P1: 2})
    assert ownership.finished({}) == {}
    assert ownership.finished({P0: 4}) == {P0: Finished(4, 1)}
    ownership.delivered([raw(5, partition=P0), raw(6, partition=P0)])
    assert ownership.finished({P0: 7, P1: 3}) == {P1: Finished(3, 2)}
    ownership.committed({P0: 6})
    assert ownership.finished({P0: 7}) == {}
    ownership.committed({P0: 7})
    assert ownership.finished({P0: 9}) == {P0: Finished(9, 1)}
    assert ownership.committed_offsets() == {P0: 7}


def test_a_commit_past_markers_finishes_what_was_delivered() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    ownership.delivered([raw(7, partition=P0)])
    ownership.committed({P0: 9})
    assert ownership.finished({P0: 10}) == {P0: Finished(10, 1)}
    assert lagging(ownership, {P0: 10}, {P0: 10}) == {P0: 0}
    ownership.delivered([raw(10, partition=P0)])
    assert ownership.finished({P0: 11}) == {}
    assert lagging(ownership, {P0: 11}, {P0: 11}) == {P0: 2}


def test_after_a_rewind_only_what_is_read_again_is_finished() -> None:
    ownership = Ownership()
    ownership.add({P0: 1})
    ownership.delivered([raw(3, partition=P0)])
    ownership.add({P0: 2})
    assert ownership.finished({P0: 3}) == {P0: Finished(3, 2)}
    assert ownership.committed_offsets() == {}
    ownership.delivered([raw(3, partition=P0, assignment=2)])
    assert ownership.finished({P0: 4}) == {}
