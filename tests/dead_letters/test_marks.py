from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.headers import REPLAY_MARK, is_replay_mark
from consumer.contracts.messages import Outgoing
from consumer.dead_letters.marks import Origin, Sent, mark
from consumer.dead_letters.offset_set import OffsetSet
from tests.support.memory.letters import at, letter, original

ORIGIN = Origin("cluster-1", "dead")


def marked(to: str, *ranges: tuple[int, int], partition: int = 0) -> Outgoing:
    sent = OffsetSet()
    for first, last in ranges:
        sent.add_range(first, last)
    return mark(ORIGIN, partition, to, sent, 1_000, "1.2.3")


def test_what_is_written_is_read() -> None:
    sent = Sent(ORIGIN)
    sent.read(at(marked("news", (3, 5), (9, 9)), 20))
    sent.read(at(marked("debug", (5, 5)), 21))
    assert sent.destinations(0, 4) == ("news",)
    assert sent.destinations(0, 5) == ("debug", "news")
    assert sent.destinations(0, 6) == ()
    assert sent.destinations(1, 4) == ()
    assert list(sent.any(0).ranges()) == [(3, 5), (9, 9)]


def test_what_was_sent_anywhere_is_not_sent_again_unless_one_says_so() -> None:
    sent = Sent(ORIGIN)
    sent.read(at(marked("debug", (1, 2)), 20))
    sent.read(at(marked("news", (2, 3)), 21))
    assert list(sent.blocking(0, "news", ()).ranges()) == [(1, 3)]
    assert list(sent.blocking(0, "news", {"debug"}).ranges()) == [(2, 3)]
    # To the same topic never, whatever one says.
    assert list(sent.blocking(0, "debug", {"debug"}).ranges()) == [(1, 3)]


def test_a_mark_has_a_key_of_its_own_and_stands_in_the_partition_of_its_letters() -> None:
    one, other = marked("news", (3, 5), partition=1), marked("debug", (3, 5), partition=1)
    assert (one.topic, one.partition, one.timestamp_ms) == ("dead", 1, 1_000)
    assert one.key != other.key
    assert one.key != marked("news", (4, 5), partition=1).key


def test_a_dead_letter_is_no_mark_even_if_its_original_had_the_header() -> None:
    assert is_replay_mark(at(marked("news", (3, 5)), 20).headers)
    assert not is_replay_mark(at(letter(original(1, headers=((REPLAY_MARK, b"1"),))), 0).headers)
    assert not is_replay_mark(at(letter(original(1)), 0).headers)
    assert not is_replay_mark(original(1, headers=()).headers)


def changed(**fields: Any) -> Outgoing:
    one = marked("news", (3, 5))
    return one._replace(value=orjson.dumps({**orjson.loads(one.value or b""), **fields}))


@pytest.mark.parametrize(
    "one",
    [
        changed(sent=[[5, 3]]),
        changed(sent=[[3, 4], [4, 5]]),
        changed(sent=[[3, 20]]),  # it stands at 20 itself
        changed(sent=[[3, 2**62]]),
        changed(sent=[[-3, 4]]),
        changed(sent=[[3, "4"]]),
        changed(sent=[[3, True]]),
        changed(sent=[3]),
        changed(sent=None),
        changed(to=7),
        changed(partition="0"),
        marked("news", (3, 5))._replace(value=None),
        marked("news", (3, 5))._replace(value=b"[]"),
        marked("news", (3, 5))._replace(value=b"{"),
        marked("news", (3, 5))._replace(value=b"{}"),
    ],
)
def test_a_mark_that_cannot_be_read_stops(one: Outgoing) -> None:
    with pytest.raises(KafkaProblem, match="mark of a replay at dead/0/20 cannot be read"):
        Sent(ORIGIN).read(at(one, 20))


@pytest.mark.parametrize(
    "one", [changed(cluster="cluster-2"), changed(topic="other"), changed(partition=1)]
)
def test_a_mark_of_a_copied_topic_stops(one: Outgoing) -> None:
    with pytest.raises(KafkaProblem, match="this topic is a copy"):
        Sent(ORIGIN).read(at(one, 20))


def test_a_mark_of_a_later_version_stops() -> None:
    one = marked("news", (3, 5))._replace(headers=((REPLAY_MARK, b"2"),))
    with pytest.raises(KafkaProblem, match="later version"):
        Sent(ORIGIN).read(at(one, 20))
