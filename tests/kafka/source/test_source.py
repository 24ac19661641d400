"""What the source makes of its client's events, with a client that plays them from a list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard, offsets
from tests.support.memory.client_message import Message
from tests.support.memory.fake_client import ONE, TWO, Client, makes


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    ],
)
def test_reading_goes_on_after_what_passes(source: KafkaSource, client: Client, code: int) -> None:
    client.play = [Message(0), Message(-1, error=KafkaError(code)), Message(1)]
    assert offsets(source.poll(10, 0)) == [0, 1]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "allow this user to read the input topics"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, r"consumer group \(group_id\)"),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, "another group_id"),
        (KafkaError.UNSUPPORTED_VERSION, "needs 4.0 or later"),
    ],
)
def test_what_does_not_pass_stops_the_worker(
    source: KafkaSource, client: Client, code: int, remedy: str
) -> None:
    client.play = [Message(-1, error=KafkaError(code))]
    with pytest.raises(KafkaProblem, match=remedy):
        source.poll(10, 0)


def test_a_fatal_error_stops_the_worker_which_then_leaves_no_group(
    source: KafkaSource, client: Client
) -> None:
    client.play = [KafkaError(KafkaError._FATAL, "broken beyond repair", fatal=True)]
    with pytest.raises(KafkaProblem, match="broken beyond repair"):
        source.poll(10, 0)
    source.close()
    assert not client.left


def test_the_end_of_a_partition_moves_what_was_read(source: KafkaSource, client: Client) -> None:
    end = KafkaError(KafkaError._PARTITION_EOF)
    client.play = [Message(0), Message(9, error=end), Message(4, partition=7, error=end)]
    assert offsets(source.poll(10, 0)) == [0]
    assert source.read_offsets() == {ONE: 9}
    assert source.end_offsets() == source.high_watermarks() == {}  # the brokers never told


def test_no_more_than_asked_for(source: KafkaSource, client: Client) -> None:
    client.play = [Message(n) for n in range(5)]
    assert [offsets(source.poll(2, 0)) for _ in range(4)] == [[0, 1], [2, 3], [4], []]


def test_a_consumer_that_has_forgotten_all_brokers_is_replaced(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    source = KafkaSource(Settings())
    source.open(heard)
    client.play = [client.happens("on_assign", ONE, TWO), Message(7)]
    (old,) = source.poll(10, 0)
    source.pause()
    new = Client()
    makes(monkeypatch, new)
    client.strand()
    assert source.poll(10, 0) == []
    assert client.closed
    # Lost, and not revoked: nobody can commit any more.
    assert heard.events == [("assigned", (ONE, TWO)), ("lost", (ONE, TWO))]
    assert source.assignments() == {}
    new.play = [new.happens("on_assign", ONE), Message(7)]
    (again,) = source.poll(10, 0)
    assert again.position == old.position
    assert again.assignment > old.assignment
    assert set(new.paused) == {ONE}
    source.close()
    assert new.closed


def test_what_a_consumer_that_was_given_up_still_says_is_not_heard(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Client()
    makes(monkeypatch, new)
    client.strand()
    source.poll(1, 0)
    new.play = [new.happens("on_assign", ONE)]
    source.poll(1, 0)
    client.happens("on_revoke", ONE, TWO)()
    client.happens("on_lost", ONE, TWO)()
    client.happens("on_assign", TWO)()
    assert list(source.assignments()) == [ONE]


class Unassigned:
    """Says once that this worker is to rejoin."""

    def __init__(self) -> None:
        self.due = [True]
        self.asked: list[tuple[object, list[str]]] = []

    def step(self, sign: object, topics: list[str], member_id: Callable[[], str]) -> bool:
        assert member_id() == "me"
        self.asked.append((sign, topics))
        return bool(self.due and self.due.pop())

    def troubles(self) -> list[str]:
        return ["nobody has articles [1]"]


def test_a_worker_that_is_to_rejoin_gives_its_partitions_back_and_comes_as_a_new_consumer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, heard = KafkaSource(Settings()), Heard()
    source.open(heard)
    client.happens("on_assign", ONE, TWO)()
    new = Client()
    makes(monkeypatch, new)
    unassigned = Unassigned()
    monkeypatch.setattr(source, "_unassigned", unassigned)
    source.pause()
    client.play = [client.happens("on_revoke", ONE, TWO)]
    assert source.poll(10, 0) == []
    assert (client.left, client.closed) == (True, True)
    # Revoked, and not lost: what is finished is committed before.
    assert heard.events == [
        ("assigned", (ONE, TWO)),
        ("revoked", (ONE, TWO)),
        ("rejoined", ()),
    ]
    new.play = [new.happens("on_assign", ONE), Message(7)]
    assert offsets(source.poll(10, 0)) == [7]
    assert set(new.paused) == {ONE}
    signs, topics = zip(*unassigned.asked, strict=True)
    assert topics == (["articles"], ["articles"])
    assert signs[0] != signs[1]
    assert source.troubles() == ["nobody has articles [1]"]


def test_a_client_that_fails_while_it_leaves_to_rejoin_stops_the_worker(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_unassigned", Unassigned())
    client.play = [KafkaError(KafkaError._FATAL, "broken beyond repair", fatal=True)]
    with pytest.raises(KafkaProblem, match="broken beyond repair"):
        source.poll(10, 0)
