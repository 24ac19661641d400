"""Bounded runs on Apache Kafka: they begin and end where they were told, and end by themselves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

COMMAND = ("-m", "tests.faults.workers.light_worker")
SUPERVISED = ("-m", "tests.faults.workers.light_workers")
PARTITIONS = 3

#: A session so short that the group forgets a killed worker within seconds.
SHORT = {"session.timeout.ms": "6000"}


@dataclass(frozen=True)
class Ground:
    """The three topics of one test, and the group of the run."""

    bootstrap: str
    input: str
    output: str
    dead: str
    group: str

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead,
            "group_id": f"{self.group}-live",
            "run_group": self.group,
            "from": "earliest",
            "kafka": SHORT,
            **more,
        }

    def ids(self) -> list[str]:
        """What a `read_committed` reader of the output sees, in order of the partitions.

        A transaction that a killed worker left open is waited for: until its timeout it hides what
        others have written behind it.
        """
        records = helpers.read_settled(self.bootstrap, self.output)
        return [json.loads(record.value or b"")["id"] for record in records]

    def committed(self, topic: str | None = None) -> dict[int, int]:
        def ask() -> dict[int, int]:
            return helpers.committed_offsets(self.bootstrap, self.group, topic or self.input)

        # A group that has just begun has no coordinator for a moment.
        return helpers.patiently(ask)


@pytest.fixture
def ground(kafka: str, topics: TopicFactory, group: str) -> Ground:
    taken, output, dead = (topics(name, partitions=PARTITIONS) for name in ("in", "out", "dead"))
    return Ground(kafka, taken, output, dead, group)


def article(name: object, partition: int = 0, timestamp_ms: int | None = None) -> Record:
    value = json.dumps({"id": str(name), "body": "Ada Marsh spoke"}).encode()
    return Record(value, partition=partition, timestamp_ms=timestamp_ms)


def articles(names: Sequence[object]) -> list[Record]:
    return [article(name, number % PARTITIONS) for number, name in enumerate(names)]


def run(settings: dict[str, Any], folder: Path, name: str = "run") -> WorkerProcess:
    """A run that was let go to its end, with exit code 0."""
    with WorkerProcess(settings, folder, name, COMMAND) as worker:
        assert worker.wait() == 0, worker.log.read_text()
    return worker


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_run_reads_all_that_is_there_once_and_ends_by_itself(
    ground: Ground, tmp_path: Path, delivery: str, protocol: str
) -> None:
    helpers.produce(ground.bootstrap, ground.input, articles(range(60)))
    kafka = SHORT if protocol == "classic" else {}
    settings = ground.settings(delivery=delivery, group_protocol=protocol, kafka=kafka)
    run(settings, tmp_path)
    assert sorted(map(int, ground.ids())) == list(range(60))
    assert ground.committed() == helpers.end_offsets(ground.bootstrap, ground.input)

    # The same request again is the same run, which is complete; what came since is no part of it.
    helpers.produce(ground.bootstrap, ground.input, articles(["late"]))
    again = run(settings, tmp_path, "again")
    assert "is complete already" in again.log.read_text()
    assert len(ground.ids()) == 60


def many(ground: Ground, count: int) -> None:
    helpers.produce(ground.bootstrap, ground.input, articles(range(count)))


def slow(ground: Ground, **more: Any) -> dict[str, Any]:
    """A run of so many transactions that it can be caught in the middle."""
    return ground.settings(in_flight_articles=10, batch_articles=5, commit_interval_ms=0, **more)


def caught(ground: Ground, worker: WorkerProcess, at_least: int, at_most: int) -> None:
    """Wait until the run is under way, and make sure that it is not over."""
    deadline = time.monotonic() + 300
    while (done := sum(ground.committed().values())) < at_least:
        assert time.monotonic() < deadline, worker.log.read_text()
        assert worker.process.poll() is None, worker.log.read_text()
        time.sleep(0.01)
    assert done < at_most, "the worker was too fast for this test; make the run longer"


def assert_each_once(ground: Ground, count: int) -> None:
    seen = Counter(ground.ids())
    assert sorted(map(int, seen)) == list(range(count)), "lost, or more than the run"
    assert set(seen.values()) == {1}, "doubled"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_run_that_is_killed_goes_on_and_new_messages_do_not_move_its_end(
    ground: Ground, tmp_path: Path, protocol: str
) -> None:
    many(ground, 3_000)
    ends = helpers.end_offsets(ground.bootstrap, ground.input)
    settings = slow(ground, group_protocol=protocol, kafka=SHORT if protocol == "classic" else {})
    with WorkerProcess(settings, tmp_path, "killed", COMMAND) as worker:
        caught(ground, worker, 200, 2_900)
        worker.kill()
    helpers.produce(ground.bootstrap, ground.input, articles(["late"] * 30))
    before = sum(ground.committed().values())
    worker = run(settings, tmp_path, "again")
    [said] = [one for one in worker.events() if one["event"].startswith("bounded run ")]
    assert f"{before} of 3000 offsets done" in said["event"], "it began anew"
    assert_each_once(ground, 3_000)
    assert ground.committed() == ends


def test_two_workers_share_a_run_and_both_end_when_it_is_over(
    ground: Ground, tmp_path: Path
) -> None:
    many(ground, 3_000)
    settings = slow(ground)
    with (
        WorkerProcess(settings, tmp_path, "one", COMMAND) as one,
        WorkerProcess(settings, tmp_path, "other", COMMAND) as other,
    ):
        caught(ground, one, 1, 2_900)
        helpers.produce(ground.bootstrap, ground.input, articles(["late"] * 30))
        assert one.wait() == 0, one.log.read_text()
        assert other.wait() == 0, other.log.read_text()
    assert_each_once(ground, 3_000)


def test_one_of_two_workers_is_killed_and_the_other_ends_the_run(
    ground: Ground, tmp_path: Path
) -> None:
    many(ground, 3_000)
    settings = slow(ground)
    with (
        WorkerProcess(settings, tmp_path, "killed", COMMAND) as one,
        WorkerProcess(settings, tmp_path, "other", COMMAND) as other,
    ):
        caught(ground, one, 100, 2_900)
        one.kill()
        assert other.wait() == 0, other.log.read_text()
    assert_each_once(ground, 3_000)


def test_a_run_that_is_stopped_says_so_and_goes_on(ground: Ground, tmp_path: Path) -> None:
    many(ground, 3_000)
    settings = slow(ground)
    with WorkerProcess(settings, tmp_path, "stopped", COMMAND) as worker:
        caught(ground, worker, 200, 2_900)
        assert worker.terminate() == 143, worker.log.read_text()
        assert "stopped before its end" in worker.log.read_text()
    run(settings, tmp_path, "again")
    assert_each_once(ground, 3_000)


DAY_MS = 86_400_000
#: Midnight of some day that is past, in UTC.
MIDNIGHT_MS = 1_764_000_000_000 // DAY_MS * DAY_MS


def test_a_run_begins_and_ends_at_times(ground: Ground, tmp_path: Path) -> None:
    hour = DAY_MS // 24
    helpers.produce(
        ground.bootstrap,
        ground.input,
        [
            article("before", 0, MIDNIGHT_MS - 1),
            article("first", 0, MIDNIGHT_MS),
            article("last", 0, MIDNIGHT_MS + DAY_MS - 1),
            article("after", 0, MIDNIGHT_MS + DAY_MS),
            # Nothing of this partition is in the day; the last one is empty.
            article("early", 1, MIDNIGHT_MS - hour),
            article("too late", 1, MIDNIGHT_MS + DAY_MS + hour),
        ],
    )
    bounds = {"from": str(MIDNIGHT_MS), "until": str(MIDNIGHT_MS + DAY_MS)}
    run(ground.settings(**bounds), tmp_path)
    assert ground.ids() == ["first", "last"]
    assert ground.committed() == {0: 3, 1: 1, 2: 0}


def test_a_run_without_anything_to_read_ends_at_once(ground: Ground, tmp_path: Path) -> None:
    many(ground, 9)
    run(ground.settings(**{"from": "latest"}), tmp_path)
    assert ground.ids() == []


@pytest.mark.parametrize("last", ["commit", "abort"])
def test_markers_at_the_end_of_a_run_are_passed(ground: Ground, tmp_path: Path, last: str) -> None:
    feeder = helpers.producer(ground.bootstrap, transactional_id=f"{ground.group}-feeder")
    feeder.init_transactions(30)
    for number, end in enumerate(("commit", "abort", last)):
        feeder.begin_transaction()
        helpers.put(feeder, ground.input, articles([f"{end}{number}"] * 3))
        feeder.flush(30)
        (feeder.commit_transaction if end == "commit" else feeder.abort_transaction)(30)
    ends = helpers.settled_ends(ground.bootstrap, ground.input)
    run(ground.settings(), tmp_path)
    expected = ["commit0"] * 3 + (["commit2"] * 3 if last == "commit" else [])
    assert sorted(ground.ids()) == expected
    assert ground.committed() == ends == dict.fromkeys(range(PARTITIONS), 6)


def test_what_an_open_transaction_holds_at_the_start_is_a_part_of_the_run(
    ground: Ground, tmp_path: Path
) -> None:
    feeder = helpers.producer(ground.bootstrap, transactional_id=f"{ground.group}-feeder")
    feeder.init_transactions(30)
    feeder.begin_transaction()
    helpers.put(feeder, ground.input, [article("held")])
    feeder.flush(30)
    helpers.produce(ground.bootstrap, ground.input, [article("behind")])
    with WorkerProcess(ground.settings(), tmp_path, "run", COMMAND) as worker:
        deadline = time.monotonic() + 120
        while "bounded run " not in worker.log.read_text():
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.1)
        time.sleep(2)
        assert worker.process.poll() is None, "it ended before what is held was read"
        feeder.commit_transaction(30)
        assert worker.wait() == 0, worker.log.read_text()
    assert sorted(ground.ids()) == ["behind", "held"]


def test_what_retention_took_is_told_and_the_rest_is_read(ground: Ground, tmp_path: Path) -> None:
    many(ground, 3_000)
    settings = slow(ground)
    with WorkerProcess(settings, tmp_path, "killed", COMMAND) as worker:
        caught(ground, worker, 100, 2_000)
        worker.kill()
    # Of one partition a part is gone, of another one all of the run and more.
    helpers.produce(ground.bootstrap, ground.input, articles(["late"] * 30))
    helpers.delete_records(ground.bootstrap, ground.input, {0: 990, 1: 1_005})
    before = ground.committed()
    gone = f"removed {990 - before[0]:,} of 1,000 of {ground.input}[0], "
    gone += f"{1_000 - before[1]:,} of 1,000 of {ground.input}[1] (offsets"
    with WorkerProcess(settings, tmp_path, "again", COMMAND) as worker:
        assert worker.wait() == 1, worker.log.read_text()
        log = worker.log.read_text()
    assert "was removed before it was read" in log
    assert f"nerstream: error: the run {ground.group} is at its end, but not all" in log
    assert gone in log
    # Nothing is left to be found gone; the group's offsets still tell of it.
    for name, command in (("alone", COMMAND), ("supervised", SUPERVISED)):
        with WorkerProcess(settings, tmp_path, name, command) as worker:
            assert worker.wait() == 1, worker.log.read_text()
            log = worker.log.read_text()
        assert "is complete already" in log
        [last] = [line for line in log.splitlines() if line.startswith("nerstream: error: ")]
        assert gone in last
    seen = Counter(ground.ids())
    assert set(seen.values()) == {1}
    assert {str(n) for n in range(3_000) if n % 3 == 2 or (n % 3 == 0 and n // 3 >= 990)} <= set(
        seen
    )
    assert "late" not in seen


def test_what_is_added_after_the_start_is_no_part_of_the_run(
    ground: Ground, topics: TopicFactory, tmp_path: Path
) -> None:
    many(ground, 3_000)
    stem = ground.input[: ground.input.index("-") + 6]
    settings = slow(ground, input_topics=f"^{stem}.*")
    with WorkerProcess(settings, tmp_path, "killed", COMMAND) as worker:
        caught(ground, worker, 100, 2_900)
        worker.kill()
    helpers.add_partitions(ground.bootstrap, ground.input, PARTITIONS + 2)
    helpers.produce(
        ground.bootstrap, ground.input, [article("late", number) for number in (3, 4, 3)]
    )
    helpers.produce(ground.bootstrap, topics(f"{stem}-more"), [article("late")])
    run(settings, tmp_path, "again")
    assert_each_once(ground, 3_000)
    assert sorted(ground.committed()) == [0, 1, 2]


def test_a_topic_that_is_made_again_ends_the_run_with_a_reason(
    ground: Ground, tmp_path: Path
) -> None:
    many(ground, 3_000)
    settings = slow(ground)
    with WorkerProcess(settings, tmp_path, "killed", COMMAND) as worker:
        caught(ground, worker, 100, 2_900)
        helpers.remove_topics(ground.bootstrap, [ground.input])
        helpers.create_topic(ground.bootstrap, ground.input, partitions=PARTITIONS)
        helpers.produce(ground.bootstrap, ground.input, articles(["other"] * 6_000))
        assert worker.wait() == 1, worker.log.read_text()
        log = worker.log.read_text()
    assert "with a run_group of its own" in log
    assert "Traceback" not in log
    assert "other" not in ground.ids()


def test_a_group_of_another_use_is_refused(ground: Ground, tmp_path: Path) -> None:
    many(ground, 3)
    reader = helpers.group_reader(ground.bootstrap, ground.group)
    reader.commit(offsets=[TopicPartition(ground.input, 0, 1)], asynchronous=False)
    reader.close()
    with WorkerProcess(ground.settings(), tmp_path, "run", COMMAND) as worker:
        assert worker.wait() == 1
        log = worker.log.read_text()
    assert "belongs to no bounded run; give the run a run_group of its own" in log
    assert "Traceback" not in log


def test_a_run_of_other_bounds_under_the_same_name_is_refused(
    ground: Ground, tmp_path: Path
) -> None:
    many(ground, 3)
    run(ground.settings(), tmp_path)
    settings = ground.settings(**{"from": "2026-01-01"})
    with WorkerProcess(settings, tmp_path, "other", COMMAND) as worker:
        assert worker.wait() == 1
        log = worker.log.read_text()
    assert "was begun from earliest-to-end, and is now asked for from 20260101T000000Z-to" in log
    assert "Traceback" not in log


def test_what_this_model_has_tagged_passes_byte_for_byte(ground: Ground, tmp_path: Path) -> None:
    def tagged(name: str, revision: str) -> bytes:
        tagging = {"model": "light", "revision": revision, "version": "0", "tagged_at": "then"}
        document = {"id": name, "body": "Ada", "entities": [], "tagging": tagging}
        return json.dumps(document, indent=2).encode()

    same, other = tagged("same", "1"), tagged("other", "0")
    helpers.produce(ground.bootstrap, ground.input, [Record(same, b"k"), Record(other, b"k")])
    run(ground.settings(already_tagged="pass"), tmp_path)
    first, second = helpers.read_all(ground.bootstrap, ground.output)
    assert (first.key, first.value) == (b"k", same)
    assert json.loads(second.value or b"")["tagging"]["revision"] == "1"
    assert json.loads(second.value or b"")["entities"] != []


def test_a_time_that_is_to_come_is_refused(ground: Ground, tmp_path: Path) -> None:
    settings = ground.settings(until="2999-01-01")
    with WorkerProcess(settings, tmp_path, "run", COMMAND) as worker:
        assert worker.wait() == 2
        assert "--until: 2999-01-01 is to come; " in worker.log.read_text()
