"""`nerstream doctor` on Apache Kafka: all green where all is right, and what is wrong is named."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from consumer import cli
from tests.conftest import TopicFactory, start_or_skip_with
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.servers.kafka_server import KafkaServer
from tests.support.memory.cluster_facts import ROOM

pytestmark = pytest.mark.kafka

Findings = dict[tuple[str, str], dict[str, Any]]


class Doctor:
    """Asks, and keeps what was said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], bootstrap: str, **settings: str) -> None:
        self._capsys = capsys
        self.flags = {"bootstrap_servers": bootstrap, **settings}

    def asks(self, *arguments: str, **more: str) -> tuple[int, Findings]:
        flags = [
            word
            for name, value in {**self.flags, **more}.items()
            for word in ("--" + name.replace("_", "-"), value)
        ]
        code = cli.main(["doctor", "--json", "--no-model", *arguments, *flags])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        lines = [json.loads(line) for line in out.splitlines()]
        return code, {(one["room"], one["check"]): one for one in lines}


def statuses(found: Findings, status: str) -> set[tuple[str, str]]:
    return {where for where, one in found.items() if one["status"] == status}


def article(number: int, key: bytes | None = b"k") -> Record:
    value = json.dumps({"id": str(number), "title": "Ada Lovelace", "body": "She wrote."})
    return Record(value.encode(), key=key, timestamp_ms=round(time.time() * 1000))


def touch_internal_topics(bootstrap: str) -> None:
    """Have the brokers make the topics that they make when they are first needed."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(60)
    commit_something(bootstrap)


def commit_something(bootstrap: str) -> None:
    """A commit, which the brokers stamp."""
    topic = f"committed-{uuid.uuid4().hex[:8]}"
    helpers.create_topic(bootstrap, topic)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()


@pytest.fixture
def doctor(
    kafka: str, topics: TopicFactory, group: str, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    touch_internal_topics(kafka)
    return Doctor(
        capsys,
        kafka,
        input_topics=topics("in", 2),
        output_topic=topics("out", 2),
        dead_letter_topic=topics("dead", config=ROOM),
        group_id=group,
    )


@contextmanager
def brokers(**config: str | int) -> Iterator[KafkaServer]:
    server = start_or_skip_with({name.replace("_", "."): value for name, value in config.items()})
    try:
        yield server
    finally:
        server.stop()


def made(server: KafkaServer, capsys: pytest.CaptureFixture[str], **more: str) -> Doctor:
    for name in ("in", "out"):
        helpers.create_topic(server.bootstrap_servers, name)
    helpers.create_topic(server.bootstrap_servers, "dead", config=ROOM)
    names = {"input_topics": "in", "output_topic": "out", "dead_letter_topic": "dead"}
    return Doctor(capsys, server.bootstrap_servers, **{**names, **more})


def test_a_sound_cluster_is_green(doctor: Doctor) -> None:
    code, found = doctor.asks()
    assert code == 0
    assert statuses(found, "red") == statuses(found, "yellow") == set()
    # The clock shows only where something was stamped meanwhile; the model was left out.
    assert statuses(found, "grey") <= {("brokers", "clock"), ("model", "model")}
    assert found["brokers", "features"]["text"] == "transactions and KIP-848"
    assert found["topics", "input"]["text"].endswith(", 2 partitions")


def test_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    # A broker of its own: others write to the shared one meanwhile.
    with brokers() as server:
        kafka = server.bootstrap_servers
        touch_internal_topics(kafka)
        check_that_nothing_is_written(kafka, made(server, capsys, group_id="quiet"))


def check_that_nothing_is_written(kafka: str, doctor: Doctor) -> None:
    flags = doctor.flags
    helpers.produce(kafka, flags["input_topics"], [article(1)])
    client = helpers.admin(kafka)

    def state() -> tuple[object, ...]:
        groups = client.list_consumer_groups().result(60).valid
        names = sorted(client.list_topics(timeout=60).topics)
        ends = [
            helpers.end_offsets(kafka, name, "read_uncommitted")
            for name in (*list(flags.values())[1:4], "__transaction_state")
        ]
        mine = [one.group_id for one in groups if one.group_id == flags["group_id"]]
        committed = helpers.committed_offsets(kafka, flags["group_id"], flags["input_topics"])
        return mine, names, ends, committed

    before = state()
    assert doctor.asks("--sample", "10")[0] == 0
    assert state() == before


def test_what_is_missing_is_named_and_not_made(kafka: str, doctor: Doctor) -> None:
    code, found = doctor.asks(output_topic="nowhere", dead_letter_topic="nowhere-either")
    assert code == 1
    assert {("topics", "output"), ("topics", "dead letters")} == statuses(found, "red")
    assert "nowhere does not exist" in found["topics", "output"]["text"]
    assert "nowhere" not in helpers.admin(kafka).list_topics(timeout=60).topics


def test_a_pattern_is_matched(doctor: Doctor) -> None:
    name = doctor.flags["input_topics"]
    assert doctor.asks(input_topics=f"^{name[:-1]}.$")[0] == 0
    code, found = doctor.asks(input_topics="^nothing-is-called-so-.*")
    assert (code, found["topics", "input"]["status"]) == (1, "red")


def test_an_output_that_takes_less_is_named(doctor: Doctor, kafka: str) -> None:
    helpers.alter_topic(kafka, doctor.flags["output_topic"], {"max.message.bytes": "1000"})
    code, found = doctor.asks()
    assert code == 1
    assert statuses(found, "red") == {("topics", "message sizes")}
    assert "1000 bytes" in found["topics", "message sizes"]["text"]


def test_dead_letters_without_room_for_the_reason_are_a_warning(
    doctor: Doctor, topics: TopicFactory
) -> None:
    """As where each topic has the size that topics have by default."""
    code, found = doctor.asks(dead_letter_topic=topics("default"))
    assert (code, statuses(found, "red")) == (0, set())
    assert statuses(found, "yellow") == {("topics", "message sizes")}
    assert "set max.message.bytes=" in found["topics", "message sizes"]["remedy"]


def test_a_compacted_output_and_messages_without_keys(doctor: Doctor, kafka: str) -> None:
    flags = doctor.flags
    helpers.alter_topic(kafka, flags["output_topic"], {"cleanup.policy": "compact"})
    code, found = doctor.asks()
    assert (code, found["topics", "cleanup policy"]["status"]) == (0, "yellow")
    helpers.produce(kafka, flags["input_topics"], [article(1), article(2)])
    code, found = doctor.asks("--sample", "100")
    assert (code, found["topics", "cleanup policy"]["status"]) == (0, "green")
    helpers.produce(kafka, flags["input_topics"], [article(3, key=None)])
    code, found = doctor.asks("--sample", "100")
    assert (code, found["topics", "cleanup policy"]["status"]) == (1, "red")
    assert "1 of 3 sampled" in found["topics", "cleanup policy"]["text"]


def test_old_news_for_an_output_that_forgets(doctor: Doctor, kafka: str) -> None:
    flags = doctor.flags
    helpers.alter_topic(kafka, flags["output_topic"], {"retention.ms": "3600000"})
    old_ms = round(time.time() * 1000) - 86_400_000
    helpers.produce(kafka, flags["input_topics"], [Record(b"{}", timestamp_ms=old_ms)])
    found = doctor.asks()[1]
    assert found["topics", "retention"]["status"] == "yellow"
    assert "keeps 60 min" in found["topics", "retention"]["text"]
    helpers.alter_topic(
        kafka, flags["output_topic"], {"message.timestamp.before.max.ms": "3600000"}
    )
    code, found = doctor.asks()
    assert (code, found["topics", "timestamps"]["status"]) == (1, "red")


def test_a_sample_forecasts_rejections_and_arrivals(doctor: Doctor, kafka: str) -> None:
    topic = doctor.flags["input_topics"]
    bad = [Record(b"{not json", key=b"k"), Record(b'{"id": "1"}', key=b"k")]
    helpers.produce(kafka, topic, [*map(article, range(8)), *bad])
    code, found = doctor.asks("--sample", "1000")
    assert code == 0
    rejections = found["sample", "rejections"]
    assert rejections["status"] == "yellow"
    assert rejections["text"].startswith("2 of 10 messages would be rejected: ")
    assert "no_text" in rejections["remedy"]
    assert "invalid_json" in rejections["remedy"]
    assert "10 messages wait" in found["sample", "arrival"]["text"]
    # The newest ones, which are not all.
    assert "of 2 messages" in doctor.asks("--sample", "2")[1]["sample", "rejections"]["text"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_of_the_group_are_seen(doctor: Doctor, kafka: str, protocol: str) -> None:
    flags = doctor.flags
    classic = {"partition.assignment.strategy": "range"} if protocol == "classic" else {}
    member = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": flags["group_id"],
            "group.protocol": protocol,
            **classic,
        }
    )
    member.subscribe([flags["input_topics"]])
    deadline = time.monotonic() + 120
    while not member.assignment():
        assert time.monotonic() < deadline
        member.poll(0.1)
    code, found = doctor.asks()
    member.close()
    members = found["access", "members"]
    if protocol == "classic":
        assert (code, members["status"]) == (1, "red")
        assert "by range" in members["text"]
    else:
        assert (code, members["status"]) == (0, "grey")
        assert "group_protocol=consumer" in members["text"]


def test_the_clock_shows_while_groups_commit(doctor: Doctor, kafka: str) -> None:
    import threading

    over = threading.Event()
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex})
    partition = TopicPartition(doctor.flags["input_topics"], 0, 0)

    def commit() -> None:
        while not over.is_set():
            consumer.commit(offsets=[partition], asynchronous=False)
            over.wait(0.05)

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while (found := doctor.asks()[1])["brokers", "clock"]["status"] != "green":
            assert time.monotonic() < deadline, found["brokers", "clock"]
    finally:
        over.set()
        thread.join()
        consumer.close()


def test_timeouts_that_brokers_refuse(doctor: Doctor) -> None:
    code, found = doctor.asks("--kafka", "session.timeout.ms=500")
    assert code == 1
    assert statuses(found, "red") == {("timeouts", "session")}


def test_more_workers_than_partitions(doctor: Doctor) -> None:
    code, found = doctor.asks("--planned-workers", "3")
    assert code == 1
    assert statuses(found, "red") == {("topics", "partitions")}


def test_one_broker_that_wants_three_replicas(capsys: pytest.CaptureFixture[str]) -> None:
    with brokers(transaction_state_log_replication_factor=3) as server:
        code, found = made(server, capsys).asks()
        assert code == 1
        assert statuses(found, "red") == {("brokers", "internal topics")}
        line = found["brokers", "internal topics"]
        assert (
            "transaction.state.log.replication.factor is 3, and 1 broker is there" in line["text"]
        )
        assert line["remedy"].startswith("start 2 more brokers, or set transaction.state.log")
        # To ask about the group would make the topic that the brokers have not made yet.
        assert found["access", "group"]["status"] == "grey"
        names = helpers.admin(server.bootstrap_servers).list_topics(timeout=60).topics
        assert sorted(names) == ["dead", "in", "out"]


def test_a_broker_that_advertises_what_nobody_resolves(capsys: pytest.CaptureFixture[str]) -> None:
    with brokers() as server:
        doctor = made(server, capsys)
        server.advertise("broker.invalid")
        code, found = doctor.asks()
        assert code == 1
        # The client may give up before it has the list of brokers; its error names the host too.
        red = [one for one in found.values() if one["status"] == "red"]
        assert any(
            "broker.invalid" in line["text"] and "advertised.listeners" in line["remedy"]
            for line in red
        ), red


def test_no_broker_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = Doctor(capsys, "broker.invalid:9092").asks()
    assert code == 1
    assert statuses(found, "red") == {("brokers", "bootstrap")}
    assert "the name broker.invalid does not resolve" in found["brokers", "bootstrap"]["text"]


def test_what_a_user_may_not_do_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with brokers(
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        allow_everyone_if_no_acl_found="true",
    ) as server:
        bootstrap = server.bootstrap_servers
        touch_internal_topics(bootstrap)
        doctor = made(server, capsys)
        assert doctor.asks()[0] == 0
        deny(bootstrap, ResourceType.TOPIC, "out", AclOperation.WRITE)
        deny(bootstrap, ResourceType.GROUP, "nerstream", AclOperation.READ)
        deny(bootstrap, ResourceType.TRANSACTIONAL_ID, "nerstream@", AclOperation.WRITE)
        deadline = time.monotonic() + 60
        expected = {("access", "topics"), ("access", "group"), ("access", "transactional id")}
        while statuses((asked := doctor.asks())[1], "red") != expected:
            assert time.monotonic() < deadline, asked
        assert asked[0] == 1
        assert asked[1]["access", "topics"]["text"] == "this user may not Write out"
        # Less than Describe, not even whether the group is there.
        deny(bootstrap, ResourceType.GROUP, "nerstream", AclOperation.DESCRIBE)
        deny(bootstrap, ResourceType.TOPIC, "in", AclOperation.DESCRIBE)
        while statuses((asked := doctor.asks())[1], "red") != {*expected, ("topics", "input")}:
            assert time.monotonic() < deadline + 60, asked


def deny(bootstrap: str, kind: ResourceType, name: str, operation: AclOperation) -> None:
    """Forbid it to everyone; all else about this resource stays allowed."""
    pattern = ResourcePatternType.LITERAL
    if kind is ResourceType.TRANSACTIONAL_ID:
        pattern = ResourcePatternType.PREFIXED
    who = ("User:ANONYMOUS", "*")
    acls = [
        AclBinding(kind, name, pattern, *who, AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(kind, name, pattern, *who, operation, AclPermissionType.DENY),
    ]
    for answer in helpers.admin(bootstrap).create_acls(acls).values():
        answer.result(60)
