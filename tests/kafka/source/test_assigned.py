"""Which messages may be delivered, decided without a broker."""

from __future__ import annotations

from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions

ONE, TWO = TopicPartition("articles", 1), TopicPartition("articles", 2)


def message(partition: TopicPartition, offset: int, assignment: int) -> RawMessage:
    return RawMessage(Position(partition, offset), None, b"", (), None, assignment)


def test_every_assignment_and_every_rewind_has_a_number_of_its_own() -> None:
    assigned = AssignedPartitions()
    seen: list[int | None] = []
    for _ in range(3):
        assigned.add([ONE, TWO])
        seen += assigned.numbers().values()
        seen.append(assigned.rewind(ONE, 0, now=0.0))
        assigned.drop([ONE, TWO])
    assert len(set(seen)) == 9


def test_a_message_from_before_is_not_current() -> None:
    assigned = AssignedPartitions()
    assigned.add([ONE])
    number = assigned.numbers()[ONE]
    old = message(ONE, 5, number)
    assert assigned.is_current(old)
    assigned.drop([ONE])
    assert not assigned.is_current(old)
    assigned.add([ONE])
    assert not assigned.is_current(old)


def test_nothing_is_delivered_before_the_client_was_told_of_a_rewind() -> None:
    assigned = AssignedPartitions()
    assigned.add([ONE])
    number = assigned.rewind(ONE, 3, now=7.0)
    assert assigned.put_off() == {ONE: (3, 7.0)}
    assert assigned.number(ONE) is None
    assigned.passed(ONE, 99)
    assert assigned.read_offsets() == {ONE: 3}
    assigned.rewound(ONE)
    assert assigned.put_off() == {}
    assert assigned.number(ONE) == number
    assigned.passed(ONE, 4)
    assert assigned.read_offsets() == {ONE: 4}


def test_a_partition_that_is_gone_forgets_everything() -> None:
    assigned = AssignedPartitions()
    assigned.add([ONE, TWO])
    assigned.passed(ONE, 4)
    assigned.rewind(TWO, 2, now=0.0)
    assigned.drop([ONE, TWO])
    assert assigned.rewind(ONE, 0, now=0.0) is None
    assert assigned.number(ONE) is None
    assert assigned.numbers() == {}
    assert assigned.read_offsets() == {}
    assert assigned.put_off() == {}
    assert assigned.end_offsets({ONE: 10}) == {}


def test_the_end_is_never_before_what_was_read() -> None:
    assigned = AssignedPartitions()
    assigned.add([ONE, TWO])
    assert assigned.end_offsets({}) == {}
    assigned.passed(ONE, 12)
    assert assigned.end_offsets({ONE: 10, TWO: 5}) == {ONE: 12, TWO: 5}
    assert assigned.end_offsets({ONE: 15}) == {ONE: 15}
    # Never told: reading may stand behind a transaction that is open.
    assert assigned.end_offsets({TWO: 5}) == {TWO: 5}


def test_the_furthest_place_outlives_a_rewind_but_no_assignment() -> None:
    assigned = AssignedPartitions()
    assigned.add([ONE])
    assert assigned.reached(ONE) is None
    assigned.passed(ONE, 8)
    assigned.rewind(ONE, 3, now=0.0)
    assigned.rewound(ONE)
    assigned.passed(ONE, 4)
    assert (assigned.read_offsets()[ONE], assigned.reached(ONE)) == (4, 8)
    assigned.drop([ONE])
    assigned.add([ONE])
    assert assigned.reached(ONE) is None


def test_an_offset_past_the_newest_message_has_no_epoch() -> None:
    """A marker may be of a later leader than the message before it."""
    assigned = AssignedPartitions()
    assigned.add([ONE, TWO])
    assigned.passed(ONE, 5, epoch=7)
    assert assigned.epochs_of({ONE: 5, TWO: 3}) == {ONE: 7}
    assert assigned.epochs_of({ONE: 4}) == {ONE: 7}
    assigned.passed(ONE, 6)
    assert assigned.epochs_of({ONE: 6}) == {}
    assert assigned.epochs_of({ONE: 5}) == {ONE: 7}
    assigned.drop([ONE])
    assert assigned.epochs_of({ONE: 5}) == {}


def test_where_the_group_stood_is_what_was_told_first_of_an_assignment() -> None:
    assigned = AssignedPartitions()
    assigned.begun(ONE, 3)
    assert assigned.group_offsets() == {}
    assigned.add([ONE])
    assigned.begun(ONE, 3)
    assigned.begun(ONE, 8)
    assert assigned.group_offsets() == {ONE: 3}
    assigned.drop([ONE])
    assigned.add([ONE])
    assert assigned.group_offsets() == {}
