"""IdleOffsets: which committed offsets move past what no message shows, and how often."""

from __future__ import annotations

from consumer.pipeline.bookkeeping.idle_offsets import CONFIRM_S, INTERVAL_S, IdleOffsets
from consumer.pipeline.bookkeeping.ownership import Finished
from tests.support.fakes import P0, P1


def test_an_offset_before_a_marker_moves_past_it() -> None:
    assert IdleOffsets().due({P0: Finished(9, 1)}, {P0: 9}, {P0: 8}, 0.0) == {P0: Finished(9, 1)}


def test_where_the_group_stands_at_the_end_nothing_moves() -> None:
    offsets = IdleOffsets()
    assert offsets.due({P0: Finished(9, 1)}, {P0: 9}, {P0: 9}, 0.0) == {}
    # Another worker, or a person, has set it further on.
    assert offsets.due({P0: Finished(9, 1)}, {P0: 9}, {P0: 12}, 0.0) == {}


def test_what_the_group_has_is_not_known_and_is_committed() -> None:
    assert IdleOffsets().due({P0: Finished(0, 1)}, {P0: 0}, {}, 0.0) == {P0: Finished(0, 1)}


def test_an_end_that_is_not_known_confirms_nothing() -> None:
    assert IdleOffsets().due({P0: Finished(9, 1)}, {}, {P0: 8}, 0.0) == {}


def test_what_the_brokers_do_not_confirm_is_not_committed() -> None:
    """An offset of an earlier topic of that name, say."""
    offsets = IdleOffsets()
    for now in range(100):
        assert offsets.due({P0: Finished(9, 1)}, {P0: 5}, {P0: 4}, float(now)) == {}


def test_reading_that_moves_on_by_markers_alone_is_confirmed_by_an_older_end() -> None:
    offsets = IdleOffsets()
    ends = {P0: 10}
    assert offsets.due({P0: Finished(11, 1)}, ends, {P0: 5}, 0.0) == {}
    assert offsets.due({P0: Finished(12, 1)}, ends, {P0: 5}, 1.0) == {}
    # The end was asked for after 11 was read, and before 13 was.
    assert offsets.due({P0: Finished(13, 1)}, {P0: 12}, {P0: 5}, 2.0) == {P0: Finished(11, 1)}
    due = offsets.due({P0: Finished(14, 1)}, {P0: 13}, {P0: 11}, 2.0 + INTERVAL_S)
    assert due == {P0: Finished(13, 1)}


def test_what_was_noted_of_another_assignment_is_forgotten() -> None:
    offsets = IdleOffsets()
    assert offsets.due({P0: Finished(11, 1)}, {P0: 10}, {P0: 5}, 0.0) == {}
    assert offsets.due({P0: Finished(12, 2)}, {P0: 11}, {P0: 5}, 1.0) == {}
    assert offsets.due({P0: Finished(12, 2)}, {P0: 12}, {P0: 5}, 2.0) == {P0: Finished(12, 2)}


def test_what_was_noted_before_messages_came_is_forgotten() -> None:
    offsets = IdleOffsets()
    assert offsets.due({P0: Finished(11, 1)}, {P0: 10}, {P0: 5}, 0.0) == {}
    assert offsets.due({}, {P0: 12}, {P0: 5}, 1.0) == {}
    # They are committed, and reading has passed another marker.
    assert offsets.due({P0: Finished(21, 1)}, {P0: 20}, {P0: 20}, 2.0) == {}
    assert offsets.due({P0: Finished(21, 1)}, {P0: 21}, {P0: 20}, 3.0) == {P0: Finished(21, 1)}


def test_all_that_is_due_goes_together_and_not_sooner_than_the_interval() -> None:
    """However often transactions end upstream."""
    offsets = IdleOffsets()
    moves = []
    seconds = 300
    for now in range(seconds):
        finished = {P0: Finished(now + 1, 1), P1: Finished(2 * now + 1, 2)}
        ends = {P0: now + 1, P1: 2 * now + 1}
        due = offsets.due(finished, ends, {P0: now, P1: 2 * now}, float(now))
        if due:
            assert due == finished
            moves.append(now)
    assert len(moves) == seconds / INTERVAL_S


def moves_of(
    offsets: IdleOffsets, finished: Finished, committed: int, begun_at: int = 0
) -> list[int]:
    """When something is committed, of a partition that stands for ten minutes."""
    return [
        now - begun_at
        for now in range(begun_at, begun_at + 600)
        if offsets.due({P0: finished}, {P0: 9}, {P0: committed}, float(now))
    ]


def test_what_an_earlier_commit_may_have_taken_back_is_committed_once_more() -> None:
    assert moves_of(IdleOffsets(confirms=True), Finished(9, 1), 9) == [CONFIRM_S]
    # In a transaction the earlier one is fenced.
    assert moves_of(IdleOffsets(), Finished(9, 1), 9) == []


def test_what_was_confirmed_is_confirmed_again_after_messages_came_or_a_rebalance() -> None:
    offsets = IdleOffsets(confirms=True)
    assert moves_of(offsets, Finished(9, 1), 9) == [CONFIRM_S]
    assert moves_of(offsets, Finished(9, 2), 9, 1_000) == [CONFIRM_S]
    # Something is in flight.
    assert offsets.due({}, {P0: 9}, {P0: 9}, 1_999.0) == {}
    assert moves_of(offsets, Finished(9, 2), 9, 2_000) == [CONFIRM_S]


def test_where_the_group_stands_elsewhere_nothing_is_confirmed() -> None:
    assert moves_of(IdleOffsets(confirms=True), Finished(9, 1), 12) == []
    assert moves_of(IdleOffsets(confirms=True), Finished(11, 1), 5) == []


def test_what_is_confirmed_waits_for_the_interval() -> None:
    offsets = IdleOffsets(confirms=True)
    finished, ends = {P0: Finished(9, 1), P1: Finished(3, 1)}, {P0: 9, P1: 3}
    assert offsets.due(finished, ends, {P0: 9, P1: 3}, 0.0) == {}
    moved = {**finished, P1: Finished(4, 1)}
    assert offsets.due(moved, {P0: 9, P1: 4}, {P0: 9, P1: 3}, CONFIRM_S - 1) != {}
    assert offsets.due(finished, ends, {P0: 9, P1: 4}, CONFIRM_S) == {}
    due = offsets.due(finished, ends, {P0: 9, P1: 4}, CONFIRM_S - 1 + INTERVAL_S)
    assert due == {P0: Finished(9, 1)}


def test_what_was_not_committed_is_asked_for_again() -> None:
    """The publisher drops what it cannot commit."""
    offsets = IdleOffsets()
    place = {P0: Finished(9, 1)}
    asked = [now for now in range(20) if offsets.due(place, {P0: 9}, {P0: 8}, float(now))]
    assert asked == [0, 5, 10, 15]
