"""What the source makes of its client's events, with a client that plays them from a list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, KafkaProblem, SettingsError
from consumer.contracts.messages import Position, TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.source.rebalance import client_offsets
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard, offsets
from tests.support.fakes import eventually
from tests.support.memory.client_message import Message

ONE = TopicPartition("articles", 0)
TWO = TopicPartition("articles", 1)


def answer(offset: Any, error: KafkaError | None) -> Any:
    """What the client says of one partition of a commit."""
    return SimpleNamespace(
        topic=offset.topic, partition=offset.partition, offset=offset.offset, error=error
    )


def replace_offset(partition: Any, offset: int) -> Any:
    """The client's partition at another offset."""
    return confluent_kafka.TopicPartition(partition.topic, partition.partition, offset)


class Client:
    """Plays a list of messages, callbacks and errors; then nothing."""

    def __init__(self) -> None:
        self.play: list[Message | KafkaError | Callable[[], None]] = []
        self.callbacks: dict[str, Callable[[Any, Sequence[Any]], None]] = {}
        self.seek_failures: list[KafkaError] = []
        self.sought: list[tuple[str, int, int]] = []
        self.assigned: list[TopicPartition] = []
        self.unassigned: list[TopicPartition] = []
        self.paused: list[TopicPartition] = []
        self.left = False
        self.closed = False
        self.watch = ClientWatch()
        self.commits: list[tuple[list[Any], bool]] = []
        self.on_commit: Callable[[Any, Sequence[Any]], None] = lambda *_: None

    def strand(self) -> None:
        """It has forgotten all brokers, and says so."""
        for _ in range(2):
            self.watch.statistics('{"brokers": {}}')

    def commit(self, offsets: list[Any], asynchronous: bool) -> list[Any] | None:
        self.commits.append((offsets, asynchronous))
        return None if asynchronous else [answer(one, None) for one in offsets]

    def answers(
        self, number: int, error: KafkaError | None = None, of_each: KafkaError | None = None
    ) -> Callable[[], None]:
        """The answer to a commit."""
        return lambda: self.on_commit(
            error, [answer(one, of_each) for one in self.commits[number][0]]
        )

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        assert topics == ["articles"]
        self.callbacks = callbacks

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        found = SimpleNamespace(error=None, partitions={0: None, 1: None})
        return SimpleNamespace(topics={topic: found})

    def poll(self, timeout_s: float) -> Message | None:
        assert timeout_s >= 0
        if not self.play:
            return None
        event = self.play.pop(0)
        if isinstance(event, KafkaError):
            raise KafkaException(event)
        if isinstance(event, Message):
            return event
        event()
        return self.poll(timeout_s)

    def consume(self, num_messages: int, timeout_s: float) -> list[Message]:
        assert num_messages >= 1
        assert timeout_s == 0
        taken: list[Message] = []
        while len(taken) < num_messages and (message := self.poll(0)) is not None:
            taken.append(message)
        return taken

    def seek(self, partition: Any) -> None:
        if self.seek_failures:
            raise KafkaException(self.seek_failures.pop(0))
        self.sought.append((partition.topic, partition.partition, partition.offset))

    def happens(self, what: str, *partitions: TopicPartition) -> Callable[[], None]:
        theirs = [confluent_kafka.TopicPartition(p.topic, p.partition) for p in partitions]
        return lambda: self.callbacks[what](self, theirs)

    def incremental_assign(self, partitions: Sequence[Any]) -> None:
        self.assigned += [TopicPartition(one.topic, one.partition) for one in partitions]

    def incremental_unassign(self, partitions: Sequence[Any]) -> None:
        self.unassigned += [TopicPartition(one.topic, one.partition) for one in partitions]

    def position(self, partitions: Sequence[Any]) -> None:
        pass

    def pause(self, partitions: Sequence[Any]) -> None:
        self.paused += [TopicPartition(one.topic, one.partition) for one in partitions]

    def resume(self, partitions: Sequence[Any]) -> None:
        self.paused = [one for one in self.paused if one not in partitions]

    def unsubscribe(self) -> None:
        self.left = True

    def memberid(self) -> str:
        return "me"

    def close(self) -> None:
        self.closed = True
        # As librdkafka does with what it still counts as assigned.
        if self.assigned != self.unassigned and "on_revoke" in self.callbacks:
            self.happens("on_revoke", *self.assigned)()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """The consumer that every source of the test gets, in the place of librdkafka's."""
    client = Client()
    # As librdkafka's mock cluster, it does not tell the ids of topics.
    nobody = SimpleNamespace(controller_id=0, brokers={})
    admin = SimpleNamespace(
        poll=lambda _: 0, list_offsets=lambda *_, **__: {}, list_topics=lambda **_: nobody
    )
    monkeypatch.setattr("consumer.kafka.source.source.require_topics", lambda *_: None)
    monkeypatch.setattr("consumer.kafka.source.source.make_client", lambda *_: admin)
    asks = SimpleNamespace(
        committed=lambda asked, _: [answer(replace_offset(one, 0), None) for one in asked],
        close=lambda: None,
    )
    monkeypatch.setattr("consumer.kafka.source.starts.make_client", lambda *_: asks)
    makes(monkeypatch, client)
    return client


def makes(monkeypatch: pytest.MonkeyPatch, *clients: Client) -> None:
    """These are the next consumers."""
    coming = iter(clients)

    def make(
        _kind: object, _settings: Settings, watch: ClientWatch, _: object, required: Any
    ) -> Client:
        client = next(coming)
        client.watch = watch
        client.on_commit = required["on_commit"]
        return client

    monkeypatch.setattr("consumer.kafka.source.member.make_client", make)


@pytest.fixture
def source(client: Client) -> KafkaSource:
    """A source that has both partitions."""
    source = KafkaSource(Settings())
    source.open(Heard())
    client.play = [client.happens("on_assign", ONE, TWO)]
    assert source.poll(1, 0) == []
    return source


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


def committing(
    source: KafkaSource, offset: int = 8
) -> tuple[threading.Thread, list[BaseException | None]]:
    """A thread that commits, and what came of it."""
    outcome: list[BaseException | None] = []

    def commit() -> None:
        try:
            source.commit(client_offsets({ONE: offset}))
        except BaseException as failed:
            outcome.append(failed)
        else:
            outcome.append(None)

    thread = threading.Thread(target=commit, daemon=True)
    thread.start()
    return thread, outcome


def served_until(source: KafkaSource, holds: Callable[[], bool]) -> Callable[[], bool]:
    """Whether it holds, once the source has been served again."""

    def served_once() -> bool:
        source.serve()
        return holds()

    return served_once


def served(source: KafkaSource, client: Client, commits: int) -> None:
    """Serve the source until the client has got so many commits."""
    made = served_until(source, lambda: len(client.commits) == commits)
    eventually(made, "commits are made")


def test_an_answer_to_a_commit_comes_while_the_source_polls(
    client: Client, source: KafkaSource
) -> None:
    thread, outcome = committing(source)
    served(source, client, 1)
    assert thread.is_alive()
    client.play = [client.answers(0)]
    source.poll(1, 0)
    thread.join(60)
    assert outcome == [None]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "of_a_partition"])
def test_a_commit_that_is_refused_says_so(client: Client, source: KafkaSource, whole: bool) -> None:
    refused = KafkaError(KafkaError.ILLEGAL_GENERATION)
    thread, outcome = committing(source)
    served(source, client, 1)
    client.play = [client.answers(0, refused if whole else None, None if whole else refused)]
    source.poll(1, 0)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, KafkaException)
    assert failed.args[0].code() == KafkaError.ILLEGAL_GENERATION


def test_what_comes_while_an_answer_is_waited_for_is_not_lost(
    client: Client, source: KafkaSource
) -> None:
    """`serve` polls then: where reading waits for room, it is the commit that makes it."""
    thread, outcome = committing(source)
    served(source, client, 1)
    # One partition goes meanwhile, and its message with it.
    lost = client.happens("on_lost", TWO)
    client.play = [Message(7), Message(3, 1), lost, client.answers(0)]
    answered = served_until(source, lambda: not thread.is_alive())
    eventually(answered, "the commit is answered")
    assert outcome == [None]
    client.play = [Message(8)]
    taken = [raw.position for _ in range(3) for raw in source.poll(10, 0)]
    assert taken == [Position(ONE, 7), Position(ONE, 8)]


def test_a_commit_under_way_is_made_again_in_a_revoke(client: Client) -> None:
    """The client answers nothing there, and the worker waits for the commit."""

    class Waits(Heard):
        def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
            assert thread.is_alive()
            source.serve()
            thread.join(60)
            super().on_revoked(partitions)

    heard = Waits()
    source = KafkaSource(Settings())
    source.open(heard)
    client.play = [client.happens("on_assign", ONE)]
    source.poll(1, 0)
    thread, outcome = committing(source)
    served(source, client, 1)
    client.play = [client.happens("on_revoke", ONE), client.answers(0)]
    source.poll(1, 0)
    assert outcome == [None]
    assert [asynchronous for _, asynchronous in client.commits] == [True, False]
    assert heard.of("revoked") == [ONE]


def test_a_commit_without_an_answer_is_given_up(client: Client) -> None:
    source = KafkaSource(Settings(kafka={"session.timeout.ms": "50"}))
    source.open(Heard())
    thread, outcome = committing(source)
    served(source, client, 1)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, AbortableError)
    assert "no answer in 0 s" in str(failed)


def test_no_commit_waits_for_a_consumer_that_is_given_up(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, outcome = committing(source)
    served(source, client, 1)
    makes(monkeypatch, Client())
    client.strand()
    source.poll(1, 0)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, AbortableError)
    assert "the consumer is given up" in str(failed)


def test_whoever_polls_may_commit_too(client: Client, source: KafkaSource) -> None:
    source.commit(client_offsets({ONE: 8}))
    assert [asynchronous for _, asynchronous in client.commits] == [True, False]


def test_a_consumer_that_does_not_close_is_left_behind(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.source.member._CLOSE_S", 0.05)
    never = threading.Event()
    monkeypatch.setattr(client, "close", never.wait)
    new = Client()
    makes(monkeypatch, new)
    client.strand()
    new.play = [new.happens("on_assign", ONE), Message(7)]
    assert [raw.position for raw in source.poll(1, 0)] == [Position(ONE, 7)]
    never.set()


def test_a_consumer_without_a_sign_of_life_ends_the_worker(client: Client) -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "20"}))
    source.open(Heard())
    alive = '{"brokers": {"a": {"source": "learned"}}}'
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        client.watch.statistics(alive)
        source.poll(1, 0.02)
    with pytest.raises(KafkaProblem, match=r"no sign of life; .*: start the worker again"):
        eventually(lambda: bool(source.poll(1, 0.02)), "it never comes to that")
    source.close()
    assert not client.closed


def test_time_in_a_callback_is_no_silence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "20"}))
    source.open(Heard())
    monkeypatch.setattr("consumer.kafka.source.source._POLL_S", 0.01)
    client.play = [client.happens("on_assign", ONE), lambda: time.sleep(0.5), Message(7)]
    assert len(source.poll(1, 0)) == 1
    assert source.poll(1, 0) == []


@pytest.mark.usefixtures("client")
def test_who_turns_reports_off_has_no_silence() -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "0"}))
    source.open(Heard())
    source.poll(1, 0.05)
    assert source.poll(1, 0.05) == []


def test_an_interval_that_is_no_number_is_a_wrong_setting() -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "often"}))
    with pytest.raises(SettingsError, match=r"kafka\.statistics\.interval\.ms"):
        source.open(Heard())
