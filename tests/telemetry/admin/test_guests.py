"""Which connection goes when there are too many."""

from __future__ import annotations

from consumer.telemetry.admin.guests import Guests


def test_all_stay_while_there_is_room() -> None:
    guests = Guests(3, 2)
    assert [guests.enter(1, "a"), guests.enter(2, "a"), guests.enter(3, "b")] == [None] * 3
    assert len(guests) == 3


def test_of_one_client_the_oldest_goes() -> None:
    guests = Guests(10, 2)
    for number in (1, 2):
        guests.enter(number, "a")
    assert guests.enter(3, "a") == 1
    assert guests.enter(4, "b") is None
    assert len(guests) == 3


def test_the_client_with_most_makes_room_for_others() -> None:
    guests = Guests(4, 3)
    guests.enter(1, "quiet")
    for number in (2, 3, 4):
        guests.enter(number, "crowd")
    assert guests.enter(5, "probe") == 2
    assert guests.enter(6, "other") == 3


def test_who_is_being_answered_stays_unless_all_are() -> None:
    guests = Guests(10, 2)
    guests.enter(1, "a")
    guests.enter(2, "a")
    guests.answering(1, True)
    assert guests.enter(3, "a") == 2
    guests.answering(3, True)
    assert guests.enter(4, "a") == 1
    guests.answering(3, False)
    guests.answering(4, True)
    assert guests.enter(5, "a") == 3


def test_who_asks_in_turn_is_no_crowd() -> None:
    guests = Guests(64, 32)
    for number in range(7):
        guests.enter(number, "a")
        assert not guests.is_crowd("a")
    guests.enter(7, "a")
    assert guests.is_crowd("a")
    assert not guests.is_crowd("b")
    guests.leave(0)
    assert not guests.is_crowd("a")


def test_who_leaves_makes_room_once() -> None:
    guests = Guests(10, 2)
    guests.enter(1, "a")
    guests.enter(2, "a")
    guests.leave(1)
    guests.leave(1)
    guests.answering(1, True)
    assert guests.enter(3, "a") is None
    assert guests.enter(4, "a") == 2
