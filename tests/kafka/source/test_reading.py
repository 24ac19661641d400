"""What is taken of a member while its partitions come, go and are read again."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.source.source import KafkaSource
from tests.integration.rigs.reading import offsets
from tests.support.memory.client_message import Message
from tests.support.memory.fake_client import ONE, TWO, Client


def test_what_was_taken_of_a_partition_that_then_goes_is_not_delivered(
    source: KafkaSource, client: Client
) -> None:
    for going in ("on_revoke", "on_lost"):
        client.play = [
            Message(0),
            Message(0, partition=1),
            client.happens(going, ONE),
            Message(1),
            Message(1, partition=1),
        ]
        got = source.poll(10, 0)
        assert offsets(got, 0) == []
        assert offsets(got, 1) == [0, 1]
        assert set(source.assignments()) == {TWO}
        client.play = [client.happens("on_assign", ONE)]
        source.poll(1, 0)


def test_what_was_taken_before_a_partition_came_back_is_not_delivered(
    source: KafkaSource, client: Client
) -> None:
    client.play = [
        client.happens("on_revoke", ONE),
        client.happens("on_assign", ONE),
        Message(3),
    ]
    (only,) = source.poll(10, 0)
    assert only.position.offset == 3
    assert only.assignment == source.assignments()[ONE]


def test_a_partition_that_goes_and_comes_back_within_one_call_is_read_anew(
    source: KafkaSource, client: Client
) -> None:
    """Which of its messages are from before, nobody can say."""
    client.play = [
        Message(0, partition=1),
        Message(5),
        client.happens("on_revoke", ONE),
        client.happens("on_assign", ONE),
        Message(3),
        Message(1, partition=1),
    ]
    number = source.assignments()[ONE]
    got = source.poll(10, 0)
    assert (offsets(got, 0), offsets(got, 1)) == ([], [0, 1])
    assert client.assigned == [ONE, TWO, ONE, ONE]
    assert client.unassigned == [ONE, ONE]
    assert source.assignments()[ONE] > number + 1
    client.play = [Message(3)]
    (again,) = source.poll(10, 0)
    assert again.assignment == source.assignments()[ONE]


def test_a_partition_that_comes_within_a_call_has_its_messages_delivered(
    source: KafkaSource, client: Client
) -> None:
    client.play = [client.happens("on_revoke", ONE)]
    source.poll(1, 0)
    client.play = [Message(0, partition=1), client.happens("on_assign", ONE), Message(7)]
    got = source.poll(10, 0)
    assert (offsets(got, 0), offsets(got, 1)) == ([7], [0])
    assert client.assigned == [ONE, TWO, ONE]


def test_a_pause_that_the_client_has_lost_is_said_again(
    source: KafkaSource, client: Client
) -> None:
    source.pause()
    client.paused.clear()
    client.play = [Message(7)]
    assert offsets(source.poll(10, 0)) == [7]
    assert client.paused == [ONE]
    client.paused.clear()
    assert source.poll(10, 0) == []
    source.resume()
    client.play = [Message(8)]
    assert offsets(source.poll(10, 0)) == [8]
    assert client.paused == []


def test_a_rewind_that_the_client_refuses_is_made_up_for(
    source: KafkaSource, client: Client
) -> None:
    """A partition that has just been assigned cannot be sought in; what comes is from before."""
    client.seek_failures = [KafkaError(KafkaError._STATE)] * 2
    numbers = source.rewind({ONE: 40})
    client.play = [Message(7), Message(0, partition=1)]
    assert offsets(source.poll(10, 0), 0) == []
    assert source.read_offsets() == {ONE: 40, TWO: 1}
    client.play = [Message(40)]
    (first,) = source.poll(10, 0)
    assert client.sought == [("articles", 0, 40)]
    assert (first.position.offset, first.assignment) == (40, numbers[ONE])
    assert source.read_offsets()[ONE] == 41


def test_a_rewind_that_is_refused_for_good_stops_the_worker(
    source: KafkaSource, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.source.reading._REWIND_TIMEOUT_S", 0.0)
    client.seek_failures = [KafkaError(KafkaError._STATE)]
    with pytest.raises(KafkaProblem, match=r"articles \[0\] cannot be read again from offset 40"):
        source.rewind({ONE: 40})
