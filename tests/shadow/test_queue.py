"""What waits for the second model: bounded, and nothing while it is behind."""

from __future__ import annotations

from consumer.contracts.messages import Position, TextField, TopicPartition
from consumer.shadow.queue import Served, ShadowQueue
from tests.support.fakes import PATIENCE_S, eventually, in_thread


def served(number: int, characters: int = 1) -> Served:
    position = Position(TopicPartition("articles", 0), number)
    return Served(str(number), position, (TextField("body", "x" * characters),), ())


def ids(found: list[Served]) -> list[str]:
    return [one.id for one in found]


def test_what_is_offered_comes_out_in_its_order() -> None:
    queue = ShadowQueue()
    assert queue.offer([served(n) for n in range(5)]) == 5
    assert ids(queue.take(3)) == ["0", "1", "2"]
    assert ids(queue.take(3)) == ["3", "4"]


def test_it_takes_nothing_while_something_waits_or_is_under_way() -> None:
    queue = ShadowQueue()
    queue.offer([served(0)])
    assert queue.offer([served(1)]) == 0
    queue.take(8)
    assert queue.offer([served(2)]) == 0
    taken = in_thread(queue.take, 8)
    eventually(lambda: queue.offer([served(3)]) == 1, "there is room again")
    assert ids(taken.result(PATIENCE_S)) == ["3"]


def test_it_is_bounded_by_articles_and_by_characters() -> None:
    queue = ShadowQueue(articles=3, characters=100)
    assert queue.offer([served(n) for n in range(5)]) == 3
    queue = ShadowQueue(articles=3, characters=100)
    assert queue.offer([served(0, 60), served(1, 40), served(2, 1)]) == 2
    queue.take(8)
    taken = in_thread(queue.take, 8)
    # What was taken makes room.
    eventually(lambda: queue.offer([served(3, 100)]) == 1, "there is room again")
    assert ids(taken.result(PATIENCE_S)) == ["3"]
    queue = ShadowQueue(articles=3, characters=100)
    assert queue.offer([served(0, 101)]) == 0


def test_once_it_is_closed_nothing_goes_in_or_out() -> None:
    queue = ShadowQueue()
    queue.offer([served(0), served(1)])
    assert queue.close() == 2
    assert queue.take(8) == []
    assert queue.offer([served(2)]) == 0


def test_closing_wakes_who_waits() -> None:
    queue = ShadowQueue()
    taken = in_thread(queue.take, 8)
    queue.close()
    assert taken.result(PATIENCE_S) == []
