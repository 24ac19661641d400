from __future__ import annotations

from consumer.dead_letters.refusals import Refusals
from consumer.dead_letters.routes import Obstacle


def test_letters_are_counted_by_what_stands_in_their_way() -> None:
    refusals = Refusals()
    gone, other = Obstacle("no_topic", "there is none"), Obstacle("no_topic", "nor such a one")
    refusals.add(gone, (1, 3))
    refusals.add(other, (0, 9), 5)
    refusals.add(gone, (0, 7), 2)
    refusals.add(gone, (1, 1))
    assert [(obstacle, one.letters, one.first) for obstacle, one in refusals.named.items()] == [
        (gone, 4, (0, 7)),
        (other, 5, (0, 9)),
    ]
    assert (refusals.by_code, refusals.letters, refusals.unnamed) == ({"no_topic": 9}, 9, 0)


def test_the_first_twenty_are_named_and_the_rest_counted() -> None:
    refusals = Refusals()
    for _ in range(2):
        for number in range(30):
            refusals.add(Obstacle("too_large", f"it has {number} bytes"), (0, number))
    assert len(refusals.named) == 20
    assert (refusals.letters, refusals.unnamed) == (60, 20)
