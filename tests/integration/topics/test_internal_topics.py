"""Brokers that cannot create their own topics, and other reasons for a worker that does not work:
each is named within seconds, on Apache Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from consumer.kafka.internal_topics import OFFSETS, TRANSACTIONS, InternalTopics
from consumer.settings.schema import Settings
from tests.conftest import TopicFactory, start_or_skip_with
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

LOADS_FOR_EVER = """
import sys, time
from consumer import cli
from consumer import app

app.tagger_from = lambda settings: time.sleep(600)
sys.exit(cli.main())
"""

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")

#: Within which a worker must say what is wrong.
SAID_WITHIN_S = 15.0

OFFSETS_MISSING = (
    "the brokers cannot create the internal topic __consumer_offsets, which holds the offsets of "
    "all groups: offsets.topic.replication.factor is 2, and 1 broker is there; start 1 more "
    "broker, or set offsets.topic.replication.factor=1 on the brokers"
)
TRANSACTIONS_MISSING = (
    "the brokers cannot create the internal topic __transaction_state, which holds the state of "
    "all transactions: transaction.state.log.replication.factor is 2, and 1 broker is there; start "
    "1 more broker, or set transaction.state.log.replication.factor=1 on the brokers"
)


@contextmanager
def brokers(**config: str | int) -> Iterator[KafkaServer]:
    server = start_or_skip_with({name.replace("_", "."): value for name, value in config.items()})
    try:
        yield server
    finally:
        server.stop()


def settings_of(server: KafkaServer, **more: Any) -> dict[str, Any]:
    for name in ("in", "out", "dead"):
        helpers.create_topic(server.bootstrap_servers, name)
    return {
        "bootstrap_servers": server.bootstrap_servers,
        "input_topics": "in",
        "output_topic": "out",
        "dead_letter_topic": "dead",
        **more,
    }


def within(seconds: float, worker: WorkerProcess, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.1)


def waits(worker: WorkerProcess) -> list[str]:
    """What it says that it waits for, in the newest line of these."""
    said = [one["waits_for"] for one in worker.events() if one["event"] == "not working yet"]
    return said[-1] if said else []


def works(worker: WorkerProcess) -> bool:
    return worker.has_said("working")


@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_group_without_a_coordinator_is_told_why_and_recovers(
    tmp_path: Path, group_protocol: str
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(brokers(offsets_topic_replication_factor=2))
        settings = settings_of(server, group_protocol=group_protocol)
        helpers.produce(
            server.bootstrap_servers,
            "in",
            [Record(json.dumps({"id": "1", "body": "Ada"}).encode())],
        )
        worker = stack.enter_context(WorkerProcess(settings, tmp_path, command=LIGHT_WORKER))
        expected = f"no partition is assigned: {OFFSETS_MISSING}"
        within(SAID_WITHIN_S, worker, lambda: waits(worker) == [expected])
        status, body = worker.get("/readyz")
        assert (status, json.loads(body)["reasons"]) == (503, [expected])
        assert worker.get("/healthz")[0] == 200
        assert not works(worker)

        stack.enter_context(KafkaServer(joins=server))
        within(90, worker, lambda: works(worker))
        helpers.wait_for_records(server.bootstrap_servers, "out", 1)
        assert worker.terminate() == 0, worker.log.read_text()


def test_transactions_without_a_coordinator_are_told_why_and_recover(tmp_path: Path) -> None:
    config = {"transaction_state_log_replication_factor": 2, "offsets_topic_replication_factor": 2}
    with ExitStack() as stack:
        server = stack.enter_context(brokers(**config))
        settings = settings_of(server)
        worker = stack.enter_context(WorkerProcess(settings, tmp_path, command=LIGHT_WORKER))
        expected = f"the producer is not ready: {TRANSACTIONS_MISSING}; {OFFSETS_MISSING}"
        within(
            SAID_WITHIN_S, worker, lambda: waits(worker) == [expected, "no partition is assigned"]
        )
        assert expected in worker.get("/readyz")[1]

        stack.enter_context(KafkaServer(joins=server))
        within(90, worker, lambda: works(worker))
        assert worker.terminate() == 0, worker.log.read_text()


def test_it_is_told_while_the_model_is_still_loaded(tmp_path: Path) -> None:
    config = {"transaction_state_log_replication_factor": 2, "offsets_topic_replication_factor": 2}
    with brokers(**config) as server:
        settings = settings_of(server, model="bundled")
        with WorkerProcess(settings, tmp_path, command=("-c", LOADS_FOR_EVER, "run")) as worker:

            def told() -> list[list[str]]:
                return [one["reasons"] for one in worker.events() if "reasons" in one]

            within(SAID_WITHIN_S, worker, told)
            assert told() == [[TRANSACTIONS_MISSING, OFFSETS_MISSING]]
            assert worker.terminate() == 0


def test_transactions_that_stay_without_a_coordinator_end_the_worker(tmp_path: Path) -> None:
    with brokers(transaction_state_log_replication_factor=2) as server:
        settings = settings_of(server, transaction_timeout_ms=1_000)
        with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
            assert worker.wait() == 1
            text = worker.log.read_text()
            assert not works(worker)
    assert text.splitlines()[-1] == (
        f"nerstream: error: the producer cannot be made ready: {TRANSACTIONS_MISSING}"
    )


@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_worker_for_which_no_partition_is_left_says_so(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, group_protocol: str
) -> None:
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": topics("in"),
        "output_topic": topics("out"),
        "dead_letter_topic": topics("dead"),
        "group_id": group,
        "group_protocol": group_protocol,
    }
    with (
        WorkerProcess(settings, tmp_path, "one", command=LIGHT_WORKER) as one,
        WorkerProcess(settings, tmp_path, "two", command=LIGHT_WORKER) as two,
    ):
        within(60, one, lambda: works(one) or works(two))
        working, spare = (one, two) if works(one) else (two, one)
        expected = "no partition is assigned: the group has none left for it"
        within(30, spare, lambda: [line for line in waits(spare) if line.startswith(expected)])
        assert not works(spare)
        assert working.terminate() == 0
        within(60, spare, lambda: works(spare))


def test_replicas_that_are_away_are_named() -> None:
    with brokers() as first, KafkaServer(joins=first) as second:
        bootstrap = first.bootstrap_servers
        topics = InternalTopics(Settings(bootstrap_servers=bootstrap))
        assert topics.obstacle(TRANSACTIONS) == ""  # not there, and nothing against it
        # Created as the brokers would, but by hand, so that both hold a replica.
        create = helpers.admin(bootstrap).create_topics
        new = [
            NewTopic("__transaction_state", 4, 2, config={"min.insync.replicas": "2"}),
            NewTopic("__consumer_offsets", 2, replica_assignment=[[2], [1]]),
        ]
        for made in create(new).values():
            made.result(30)
        deadline = time.monotonic() + 30
        while topics.obstacle(TRANSACTIONS) or topics.obstacle(OFFSETS):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        second.kill()
        while not (topics.obstacle(TRANSACTIONS) and topics.obstacle(OFFSETS)):
            assert time.monotonic() < deadline + 30
            time.sleep(0.2)
        assert topics.obstacle(TRANSACTIONS) == (
            "4 of the 4 partitions of the internal topic __transaction_state have fewer replicas "
            "in sync than its min.insync.replicas=2 (brokers 2 are away); start these, or lower "
            "min.insync.replicas of __transaction_state"
        )
        assert topics.obstacle(OFFSETS) == (
            "1 of the 2 partitions of the internal topic __consumer_offsets have no leader, since "
            "the brokers that hold them are away (2); start these"
        )


def test_what_a_user_may_not_see_is_said_as_far_as_it_goes(tmp_path: Path) -> None:
    with brokers(
        offsets_topic_replication_factor=3,
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        allow_everyone_if_no_acl_found="true",
    ) as server:
        settings = settings_of(server)
        of_cluster = (ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL)
        anyone = ("User:ANONYMOUS", "*")
        acls = [
            AclBinding(*of_cluster, *anyone, AclOperation.ALL, AclPermissionType.ALLOW),
            AclBinding(*of_cluster, *anyone, AclOperation.DESCRIBE_CONFIGS, AclPermissionType.DENY),
        ]
        for made in helpers.admin(server.bootstrap_servers).create_acls(acls).values():
            made.result(30)
        with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
            within(SAID_WITHIN_S, worker, lambda: "__consumer_offsets" in str(waits(worker)))
            (said,) = waits(worker)
            assert worker.terminate() == 0, worker.log.read_text()
    assert said.startswith(
        "no partition is assigned: the internal topic __consumer_offsets, which holds the offsets "
        "of all groups, does not exist or may not be seen ("
    )
    assert said.endswith(
        "1 broker is there, and offsets.topic.replication.factor on the brokers must not be more "
        "than that"
    )
