"""When a worker has its group share out the partitions once more; no clock, no broker."""

from __future__ import annotations

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.unassigned.group_view import GroupView
from consumer.kafka.source.unassigned.rejoins import (
    GRACE_S,
    LONGEST_LOOK_S,
    LONGEST_PAUSE_S,
    LOOK_S,
    PAUSE_S,
    TURN_S,
    Rejoins,
)

ONE, TWO = TopicPartition("articles", 1), TopicPartition("articles", 2)
ALL = GroupView(("a", "b", "c"), frozenset())
REVOKE_S = 10.0


def without(*partitions: TopicPartition) -> GroupView:
    return GroupView(ALL.members, frozenset(partitions))


class Played:
    """Looks as often as it is wanted, and notes when this worker is to rejoin."""

    def __init__(self, member_id: str = "a") -> None:
        self.rejoins = Rejoins(REVOKE_S)
        self.member_id = member_id
        self.now = 0.0
        self.looks = 0
        self.rejoined: list[float] = []

    def play(self, view: GroupView | None, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now += 1
            if self.rejoins.wants_look(self.now):
                self.looks += 1
                if self.rejoins.saw(view, self.member_id, self.now, self.now):
                    self.rejoined.append(self.now)
                    self.rejoins.rejoined(self.now)


def doubtful(member_id: str = "a") -> Played:
    played = Played(member_id)
    played.rejoins.doubt(0)
    return played


def test_nothing_is_looked_at_without_a_doubt_nor_once_all_have_a_worker() -> None:
    played = Played()
    played.play(ALL, 60)
    assert played.looks == 0
    played.rejoins.doubt(played.now)
    played.play(ALL, 600)
    assert played.looks == 1
    assert not played.rejoined


def test_a_look_that_began_right_after_the_doubt_does_not_end_it() -> None:
    rejoins = Rejoins(REVOKE_S)
    rejoins.doubt(100)
    assert not rejoins.saw(ALL, "a", 101, 102)
    assert rejoins.wants_look(102 + LOOK_S)


def test_a_partition_that_belongs_to_nobody_for_long_makes_one_member_rejoin() -> None:
    played = doubtful()
    played.play(without(ONE), LOOK_S + REVOKE_S + GRACE_S - 1)
    assert not played.rejoins.left
    assert not played.rejoined
    played.play(without(ONE), 1)
    assert played.rejoined == [LOOK_S + REVOKE_S + GRACE_S]


def test_the_others_wait_for_their_turns() -> None:
    times = []
    for member_id in ALL.members:
        played = doubtful(member_id)
        played.play(without(ONE), 60)
        times.append(played.rejoined[0])
    first = LOOK_S + REVOKE_S + GRACE_S
    assert times == [first, first + TURN_S, first + 2 * TURN_S]


def test_a_partition_on_its_way_from_one_worker_to_another_is_no_reason() -> None:
    played = doubtful()
    for _ in range(20):
        played.play(without(ONE), REVOKE_S)
        played.play(without(TWO), REVOKE_S)
    assert not played.rejoined


def test_while_the_group_shares_out_its_partitions_nothing_is_known() -> None:
    played = doubtful()
    for _ in range(20):
        played.play(without(ONE), REVOKE_S)
        played.play(None, LOOK_S)
    assert not played.rejoined


def test_where_nothing_is_told_looks_become_rare() -> None:
    played = doubtful()
    played.play(None, 3_600)
    assert played.looks <= 3_600 / LONGEST_LOOK_S + 5
    looks = played.looks
    played.rejoins.doubt(played.now)
    played.play(ALL, LOOK_S)
    assert played.looks == looks + 1


def test_what_a_rejoin_does_not_mend_is_tried_ever_more_rarely() -> None:
    played = doubtful()
    played.play(without(ONE), 6 * 3_600)
    gaps = [b - a for a, b in zip(played.rejoined, played.rejoined[1:], strict=False)]
    assert gaps[0] >= PAUSE_S
    assert gaps == sorted(gaps)
    assert gaps[-1] >= LONGEST_PAUSE_S
    assert len(gaps) <= 6 * 3_600 / LONGEST_PAUSE_S + 5
    assert played.rejoins.left == {ONE}


def test_partitions_that_come_and_go_do_not_shorten_the_pause() -> None:
    played = doubtful()
    for _ in range(60):
        played.rejoins.doubt(played.now)
        played.play(without(ONE), 60)
        played.play(ALL, 60)
    assert len(played.rejoined) <= 60 * 120 / LONGEST_PAUSE_S + 5


def test_after_a_long_peace_the_first_rejoin_is_as_quick_as_ever() -> None:
    played = doubtful()
    played.play(without(ONE), 3_600)
    played.rejoins.doubt(played.now + 2 * LONGEST_PAUSE_S)
    played.now += 2 * LONGEST_PAUSE_S
    played.play(ALL, 60)
    played.rejoined.clear()
    played.rejoins.doubt(played.now)
    played.play(without(ONE), 200)
    assert len(played.rejoined) >= 2
    assert played.rejoined[1] - played.rejoined[0] < LONGEST_PAUSE_S


def test_a_worker_that_is_not_in_the_group_does_not_act() -> None:
    played = doubtful("stranger")
    played.play(without(ONE), 600)
    assert not played.rejoined
    assert played.rejoins.left == {ONE}
