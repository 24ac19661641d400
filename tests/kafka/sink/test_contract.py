"""The rules of `consumer.contracts.ports.Sink`, for the tests' own sink and both of the product.

The embedded broker knows no transactions, so that on it the transactional sink is held to less.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem, RejectedMessage
from consumer.contracts.headers import SOURCE
from consumer.contracts.messages import Headers, Outgoing, Position
from consumer.contracts.ports import Sink
from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.writing import Ground, after, write
from tests.support.fakes import in_thread
from tests.support.rigs.sink_grounds import PARTITIONS, FakeGround, KafkaGround, SinkGround

#: The grounds with Apache Kafka, for which it must be started.
_ON_KAFKA = {
    f"{delivery}-kafka": pytest.param(f"{delivery}-kafka", marks=pytest.mark.kafka)
    for delivery in ("exactly_once", "at_least_once")
}
_EMBEDDED = ("exactly_once-embedded", "at_least_once-embedded")

#: Every sink.
each = pytest.mark.parametrize("ground", ["fake", *_EMBEDDED, *_ON_KAFKA.values()], indirect=True)

#: Every sink where topics can refuse a message.
each_refused = pytest.mark.parametrize("ground", ["fake", *_ON_KAFKA.values()], indirect=True)

#: Every sink where messages and offsets become final together.
each_atomic = pytest.mark.parametrize(
    "ground", ["fake", _ON_KAFKA["exactly_once-kafka"]], indirect=True
)

#: The sink that is not atomic.
each_acknowledged = pytest.mark.parametrize(
    "ground", ["at_least_once-embedded", _ON_KAFKA["at_least_once-kafka"]], indirect=True
)


@pytest.fixture
def ground(request: pytest.FixtureRequest, group: str) -> Iterator[SinkGround]:
    if request.param == "fake":
        yield FakeGround()
        return
    delivery, _, broker = request.param.partition("-")
    if broker == "kafka":
        bootstrap = request.getfixturevalue("kafka")
        on = Ground(bootstrap, f"input-{group}", group)
        names = [on.topic, on.output, on.dead]
        for name in names:
            helpers.create_topic(bootstrap, name, PARTITIONS)
        yield KafkaGround(on, False, delivery=delivery)
        helpers.delete_topics(bootstrap, names)
        return
    with EmbeddedBroker() as embedded:
        topic = f"input-{uuid.uuid4().hex[:8]}"
        helpers.produce(embedded.bootstrap_servers, topic, [b"creates the topic"])
        # A group of the consumer protocol forms at once there.
        yield KafkaGround(
            Ground(embedded.bootstrap_servers, topic, group),
            True,
            delivery=delivery,
            group_protocol="consumer",
        )


def fails_to_commit(sink: Sink, *messages: Outgoing) -> None:
    """Send these, and commit when the partition is not owned any more."""
    sink.begin()
    for message in messages:
        sink.send(message)
    with pytest.raises(GroupMoved):
        sink.commit(after(messages), lambda: False)


# --- open


@each
def test_brokers_that_do_not_answer_are_a_problem_and_close_may_follow(
    ground: SinkGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 1.0)
    sink = ground.unreachable()
    with pytest.raises(KafkaProblem):
        sink.open()
    sink.close()


@each
def test_nothing_is_in_the_way_of_an_open_sink_as_any_thread_may_ask(ground: SinkGround) -> None:
    with ground.opened() as sink:
        assert in_thread(sink.obstacle).result(60) == ""


@each
def test_the_partitions_of_the_output_are_known(ground: SinkGround) -> None:
    with ground.opened() as sink:
        assert sink.partition_count(ground.output) == PARTITIONS


# --- begin, send, commit


def named(message: Outgoing) -> Headers:
    """The headers that it arrives with."""
    (topic, partition), offset = message.position
    kept = (one for one in message.headers if one[0] != SOURCE)
    return (*kept, (SOURCE, f"{topic}/{partition}/{offset}".encode()))


@each
def test_messages_arrive_as_they_were_sent(ground: SinkGround) -> None:
    headers = (("a", b"1"), (SOURCE, b"else/0/1"), ("a", None))
    sent = [
        ground.message(
            0, b"value", key=b"key", headers=headers, timestamp_ms=1_700_000_000_123, partition=2
        ),
        ground.message(1, b"", key=None, timestamp_ms=1_700_000_000_124, partition=2),
        Outgoing(
            ground.output, b"gone", None, (), 1_700_000_000_125, 2, Position(ground.partition, 2)
        ),
    ]
    ground.read(3)
    with ground.opened() as sink:
        write(sink, sent)

    # Each names its input, and only that: what came in by that name is replaced.
    assert ground.records() == [
        Record(one.value, one.key, named(one), one.timestamp_ms, 2, number)
        for number, one in enumerate(sent)
    ]


@each
def test_order_holds_over_many_commits(ground: SinkGround) -> None:
    ground.read(500)
    with ground.opened() as sink:
        for start in range(0, 500, 50):
            write(sink, [ground.message(n) for n in range(start, start + 50)])

    assert ground.values() == [str(n).encode() for n in range(500)]


@each
def test_the_offsets_that_are_given_are_committed(ground: SinkGround) -> None:
    ground.read(5)
    with ground.opened() as sink:
        write(sink, [ground.message(n) for n in range(3)])
        if ground.keeps_offsets:
            assert ground.committed() == 3
        write(sink, [ground.message(n) for n in range(3, 5)])

    if ground.keeps_offsets:
        assert ground.committed() == 5


@each
def test_offsets_are_committed_without_a_message_too(ground: SinkGround) -> None:
    """Past a marker, say, which no message shows."""
    ground.read(2)
    with ground.opened() as sink:
        write(sink, [ground.message(n) for n in range(2)])
        sink.begin()
        sink.commit({ground.partition: 3}, lambda: True)
        if ground.keeps_offsets:
            assert ground.committed() == 3
        sink.begin()
        with pytest.raises(GroupMoved):
            sink.commit({ground.partition: 4}, lambda: False)
        sink.abort()
        write(sink, [ground.message(3)])
        if ground.keeps_offsets:
            assert ground.committed() == 4

    assert ground.values() == [b"0", b"1", b"3"]


@each_atomic
def test_messages_and_offsets_become_final_together(ground: SinkGround) -> None:
    ground.read(2)
    with ground.opened() as sink:
        sink.begin()
        sink.send(ground.message(0))
        sink.send(ground.message(1))
        assert (ground.values(), ground.committed()) == ([], 0)
        sink.commit({ground.partition: 2}, lambda: True)
        assert (ground.values(), ground.committed()) == ([b"0", b"1"], 2)


@each_acknowledged
def test_offsets_follow_when_every_message_is_acknowledged(ground: SinkGround) -> None:
    written: list[int] = []
    ground.on_offsets = lambda: written.append(len(ground.records()))
    with ground.opened() as sink:
        write(sink, [ground.message(n) for n in range(100)])

    assert written == [100]


@each
def test_the_membership_is_taken_before_the_ownership_is_asked_for(ground: SinkGround) -> None:
    def still_owned() -> bool:
        ground.told.append("question")
        return True

    ground.read(1)
    with ground.opened() as sink:
        sink.begin()
        sink.send(ground.message(0))
        sink.commit({ground.partition: 1}, still_owned)

    # Without a transaction the consumer commits, and names the membership that it has then.
    assert ground.told in (["membership", "question"], ["question", "offsets"])


# --- what cannot be written


@each
def test_a_message_that_the_client_will_not_take_is_rejected(ground: SinkGround) -> None:
    ground.read(3)
    with ground.opened(client_max_bytes=2_000) as sink:
        sink.begin()
        sink.send(ground.message(0))
        with pytest.raises(RejectedMessage, match="3001 bytes") as refused:
            sink.send(ground.message(1, b"x" * 3_000))
        assert refused.value.code == RejectCode.TOO_LARGE
        sink.send(ground.message(1, b"short"))
        sink.send(ground.message(2))
        sink.commit({ground.partition: 3}, lambda: True)
        # It is known at once; nothing has to be remembered for a replay.
        assert not sink.refused(ground.output, Position(ground.partition, 1))

    assert ground.values() == [b"0", b"short", b"2"]


@each
def test_a_time_that_the_client_cannot_write_is_rejected(ground: SinkGround) -> None:
    ground.read(1)
    with ground.opened() as sink:
        sink.begin()
        with pytest.raises(RejectedMessage) as refused:
            sink.send(ground.message(0, timestamp_ms=0))
        assert refused.value.code == RejectCode.TIMESTAMP_REFUSED
        sink.send(ground.message(0, b"without"))
        sink.commit({ground.partition: 1}, lambda: True)

    assert ground.values() == [b"without"]


@each_refused
@pytest.mark.parametrize(
    "code", [RejectCode.TOO_LARGE, RejectCode.TIMESTAMP_REFUSED, RejectCode.RECORD_REFUSED]
)
def test_what_the_topic_refuses_is_named_until_its_offset_is_committed(
    ground: SinkGround, code: RejectCode
) -> None:
    ground.refuse(code)
    ground.read(4)
    good = [ground.message(n) for n in range(3)]
    bad = ground.refusable(3, code)
    with ground.opened() as sink:
        tries = 0
        while not sink.refused(ground.output, bad.position):
            tries += 1
            assert tries <= 2, "it is refused for itself on the second try at the latest"
            with pytest.raises(AbortableError):
                write(sink, [*good, bad])
            sink.abort()
        assert sink.refused(ground.output, bad.position) == code
        assert sink.refused(ground.dead, bad.position) is None
        assert not any(sink.refused(ground.output, one.position) for one in good)

        write(sink, good)
        assert sink.refused(ground.output, bad.position) == code
        write(sink, [bad._replace(topic=ground.dead, timestamp_ms=None)])
        assert sink.refused(ground.output, bad.position) is None

    assert set(ground.values()) == {b"0", b"1", b"2"}
    assert ground.committed() == 4


# --- abort and close


@each
def test_what_is_not_owned_is_not_committed(ground: SinkGround) -> None:
    ground.read(1)
    with ground.opened() as sink:
        fails_to_commit(sink, ground.message(0))
        sink.abort()
        assert ground.committed() == 0
        write(sink, [ground.message(0, b"again")])

    assert ground.values()[-1] == b"again"


@each
def test_an_abort_with_nothing_open_does_nothing(ground: SinkGround) -> None:
    ground.read(2)
    with ground.opened() as sink:
        sink.abort()
        write(sink, [ground.message(0)])
        sink.abort()
        sink.begin()
        sink.abort()
        sink.abort()
        write(sink, [ground.message(1)])

    assert ground.values() == [b"0", b"1"]


@each
def test_an_abort_leaves_the_offsets_and_the_work_goes_on(ground: SinkGround) -> None:
    ground.read(100)
    with ground.opened() as sink:
        sink.begin()
        for number in range(100):
            sink.send(ground.message(number, b"aborted"))
        ground.await_written()
        sink.abort()
        ground.await_readers()
        assert ground.committed() == 0
        write(sink, [ground.message(number) for number in range(100)])

    values = ground.values()
    if ground.is_atomic:
        assert b"aborted" not in values
    assert [one for one in values if one != b"aborted"] == [str(n).encode() for n in range(100)]


@each
def test_close_may_follow_a_commit_that_failed(ground: SinkGround) -> None:
    ground.read(1)
    with ground.opened() as sink:
        fails_to_commit(sink, ground.message(0))

    assert ground.committed() == 0
    if ground.is_atomic:
        assert ground.values() == []


@each
def test_close_aborts_what_is_open(ground: SinkGround) -> None:
    """A reader is not held up by it, and the next sink begins at the old offset."""
    ground.read(1)
    with ground.opened() as sink:
        sink.begin()
        sink.send(ground.message(0, b"open"))
        ground.await_written()
    ground.await_readers()
    assert ground.committed() == 0
    with ground.opened() as sink:
        write(sink, [ground.message(0, b"again")])

    values = ground.values()
    if ground.is_atomic:
        assert b"open" not in values
    assert values[-1] == b"again"
