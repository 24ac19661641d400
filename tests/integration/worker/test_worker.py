"""The worker on Apache Kafka, as a process: every input has exactly one outcome, whatever happens.

Under exactly_once a `read_committed` reader sees each input once; under at_least_once at least
once. The order of each partition is the order of its outputs.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumer.contracts.headers import source_in
from consumer.contracts.messages import Position, TopicPartition
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.monitoring.watched_worker import HOLD

pytestmark = pytest.mark.kafka

PARTITIONS = 3
TEXT = "Maria Duarte flew from Lisbon to Nairobi for Halden Robotics . "


@dataclass(frozen=True)
class Run:
    """The three topics of one test, its group and its broker."""

    bootstrap: str
    input: str
    output: str
    dead_letters: str
    group: str

    def settings(self, model: Path, **more: Any) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead_letters,
            "group_id": self.group,
            "model": str(model),
            "commit_interval_ms": 50,
            "batch_tokens": 512,
            **more,
        }

    def outcomes(self, count: int, timeout_s: float = 300.0) -> list[Record]:
        """Outputs and dead letters, once there are `count` of them in all."""
        topics = (self.output, self.dead_letters)
        return helpers.wait_for_records_of(self.bootstrap, topics, count, timeout_s)


@pytest.fixture
def run(kafka: str, topics: TopicFactory, group: str) -> Run:
    names = [topics(name, partitions=PARTITIONS) for name in ("in", "out", "dead")]
    return Run(kafka, names[0], names[1], names[2], group=group)


def articles(count: int, first: int = 0, words: int = 3) -> list[Record]:
    """Numbered articles without a key, spread over the partitions in turn."""
    return [
        Record(
            json.dumps({"id": str(n), "body": f"{TEXT * words} ({n})"}).encode(),
            partition=n % PARTITIONS,
        )
        for n in range(first, first + count)
    ]


def ids(records: Sequence[Record]) -> list[int]:
    return [int(json.loads(record.value or b"")["id"]) for record in records]


def assert_each_once_in_order(records: Sequence[Record], count: int) -> None:
    seen = Counter(ids(records))
    assert sorted(seen) == list(range(count)), "lost"
    assert set(seen.values()) == {1}, "doubled"
    for partition in range(PARTITIONS):
        here = ids([record for record in records if record.partition == partition])
        assert here == sorted(here), "out of order"
        assert all(n % PARTITIONS == partition for n in here)


def assert_all_committed(run: Run) -> None:
    committed = helpers.committed_offsets(run.bootstrap, run.group, run.input)
    assert committed == helpers.end_offsets(run.bootstrap, run.input)


def wait_for_some(run: Run, at_least: int, at_most: int) -> None:
    """Until some outputs are there, while others are not yet."""
    helpers.wait_for_records_of(run.bootstrap, (run.output,), at_least, 300, every_s=0.02)
    assert len(helpers.read_all(run.bootstrap, run.output)) < at_most, (
        "the worker was too fast for this test; make the run longer"
    )


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_every_article_comes_out_once_and_sigterm_drains(
    run: Run, tiny_model: Path, tmp_path: Path, delivery: str, group_protocol: str
) -> None:
    helpers.produce(run.bootstrap, run.input, articles(60))
    settings = run.settings(tiny_model, delivery=delivery, group_protocol=group_protocol)
    with WorkerProcess(settings, tmp_path) as worker:
        records = run.outcomes(60)
        assert worker.terminate() == 0, worker.log.read_text()
    assert_each_once_in_order(records, 60)
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), 60)
    assert_all_committed(run)


def test_key_headers_timestamp_and_other_fields_travel_unchanged(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    value = b'{ "id":"a", "n": 12345678901234567890123, "x": 1.10, "body": "Olga Brandt spoke" }'
    headers = (("traceparent", b"00-abc-def-01"), ("again", b"1"), ("again", None))
    sent = Record(value, b"key-1", headers, 1_700_000_000_123)
    tombstone = Record(None, b"key-1", headers[:1], 1_700_000_000_456)
    helpers.produce(run.bootstrap, run.input, [sent, tombstone])
    with WorkerProcess(run.settings(tiny_model), tmp_path):
        got, passed = run.outcomes(2)
    assert got.value is not None
    assert got.value.startswith(value.rstrip(b" }"))
    assert (got.key, got.headers[:-1], got.timestamp_ms) == (b"key-1", headers, 1_700_000_000_123)
    assert (passed.value, passed.key, passed.headers[:-1]) == (None, b"key-1", headers[:1])
    inputs = helpers.read_all(run.bootstrap, run.input)
    assert [source_in(one.headers) for one in (got, passed)] == [
        Position(TopicPartition(run.input, one.partition or 0), offset)
        for offset, one in enumerate(inputs)
    ]
    assert passed.timestamp_ms == 1_700_000_000_456
    assert passed.partition == got.partition


def test_poison_goes_to_the_dead_letters_and_its_neighbours_do_not(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    poison = {
        "invalid_json": b'{"id": "x", "body": ',
        "not_an_object": b"[1]",
        "missing_id": b'{"body": "text"}',
        "empty_id": b'{"id": "", "body": "text"}',
        "wrong_type": b'{"id": "x", "body": 7}',
        "no_text": b'{"id": "x", "summary": "text"}',
        "invalid_utf8": b'{"id": "x", "body": "\xff"}',
        "nested_too_deep": b'{"id": "x", "body": "text", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    }
    good = articles(30)
    mixed = list(good)
    for n, value in enumerate(poison.values()):
        mixed.insert(3 * n + 1, Record(value, b"k", (("origin", b"desk"),), 1_700_000_000_000 + n))
    helpers.produce(run.bootstrap, run.input, mixed)
    settings = run.settings(tiny_model, admin_show_text="on")
    with WorkerProcess(settings, tmp_path) as worker:
        run.outcomes(len(mixed))
        status, _ = worker.get("/healthz")
        assert status == 200
        # What the page shows of them, since the settings say so.
        feed = json.loads(worker.get("/live.json")[1])["feed"]
        assert feed["articles"]
        assert {letter["code"] for letter in feed["rejected"]} <= poison.keys()
        assert feed["rejected"]
        assert worker.metric("nerstream_messages_consumed_total") == len(mixed)
        assert worker.terminate() == 0
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), 30)
    letters = helpers.read_all(run.bootstrap, run.dead_letters)
    by_code = {dict(one.headers)["__nerstream.errors.code"]: one for one in letters}
    assert len(letters) == len(poison)
    for code, value in poison.items():
        letter = by_code[code.encode()]
        headers = dict(letter.headers)
        assert letter.value == value
        assert letter.key == b"k"
        assert letter.headers[0] == ("origin", b"desk")
        assert headers["__nerstream.errors.stage"] == b"prepare"
        assert headers["__nerstream.errors.topic"] == run.input.encode()
        assert headers["__nerstream.errors.message"]
    assert_all_committed(run)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_kill_in_mid_run_and_start_again(
    run: Run, tiny_model: Path, tmp_path: Path, delivery: str
) -> None:
    count = 1500
    helpers.produce(run.bootstrap, run.input, articles(count, words=6))
    settings = run.settings(
        tiny_model,
        delivery=delivery,
        commit_interval_ms=20,
        # The group waits so long for the killed member before it gives its partitions away.
        kafka={"session.timeout.ms": "6000"},
    )
    # One of the two as a worker starts that no test has prepared.
    warm = delivery == "at_least_once"
    for at_least in (1, 400):
        with WorkerProcess(settings, tmp_path, warm=warm) as worker:
            wait_for_some(run, at_least, count)
            worker.kill()
    with WorkerProcess(settings, tmp_path, warm=warm) as worker:
        run.outcomes(count)
        deadline = time.monotonic() + 300
        while True:  # under at_least_once some of the first outcomes are doubles
            records = helpers.read_all(run.bootstrap, run.output)
            if len(set(ids(records))) == count:
                break
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert worker.terminate() == 0, worker.log.read_text()
    records = helpers.read_all(run.bootstrap, run.output)
    if delivery == "exactly_once":
        assert_each_once_in_order(records, count)
    else:
        assert sorted(set(ids(records))) == list(range(count)), "lost"
    assert_all_committed(run)


def test_sigterm_in_mid_batch_commits_what_was_read_and_no_more(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    count = 3000
    helpers.produce(run.bootstrap, run.input, articles(count, words=6))
    settings = run.settings(tiny_model, in_flight_articles=60)
    with WorkerProcess(settings, tmp_path) as worker:
        wait_for_some(run, 1, count)
        assert worker.terminate() == 0, worker.log.read_text()
    done = helpers.read_all(run.bootstrap, run.output)
    committed = helpers.committed_offsets(run.bootstrap, run.group, run.input)
    assert len(done) < count
    assert sum(committed.values()) == len(done), "committed is what came out, no more, no less"
    with WorkerProcess(run.settings(tiny_model), tmp_path) as worker:
        run.outcomes(count)
        assert worker.terminate() == 0, worker.log.read_text()
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), count)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_worker_that_is_far_behind_drains_in_time_and_the_next_goes_on(
    run: Run, tiny_model: Path, tmp_path: Path, delivery: str
) -> None:
    count, begun, hold = 100, 6, tmp_path / HOLD
    helpers.produce(run.bootstrap, run.input, articles(begun))
    # It stands with a batch, as on a slow device, until half of its time is over.
    settings = run.settings(tiny_model, delivery=delivery, shutdown_timeout_s=20)
    command = ("-m", "tests.support.monitoring.watched_worker")
    variables = {"WATCHED_FOLDER": str(tmp_path)}
    with WorkerProcess(settings, tmp_path, command=command, variables=variables) as worker:
        run.outcomes(begun)
        hold.touch()
        helpers.produce(run.bootstrap, run.input, articles(count - begun, begun, words=100))
        worker.wait_until(lambda: worker.metric("nerstream_in_flight_messages"), "the backlog")
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_until(lambda: "is let go" in worker.log.read_text(), "it lets go")
        hold.unlink()
        assert worker.wait() == 0, worker.log.read_text()
    done = helpers.read_all(run.bootstrap, run.output)
    committed = helpers.committed_offsets(run.bootstrap, run.group, run.input)
    assert begun < sum(committed.values()) == len(done) < count
    with WorkerProcess(run.settings(tiny_model, delivery=delivery), tmp_path) as worker:
        run.outcomes(count)
        assert worker.terminate() == 0, worker.log.read_text()
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), count)


@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_second_worker_joins_and_leaves(
    run: Run, tiny_model: Path, tmp_path: Path, group_protocol: str
) -> None:
    settings = run.settings(tiny_model, group_protocol=group_protocol)
    total = 0
    with WorkerProcess(settings, tmp_path, "first") as first:
        first.wait_ready()
        with WorkerProcess(settings, tmp_path, "second") as second:
            while second.get("/readyz")[0] != 200:
                assert second.process.poll() is None, second.log.read_text()
                helpers.produce(run.bootstrap, run.input, articles(15, total))
                total += 15
                time.sleep(0.1)
            helpers.produce(run.bootstrap, run.input, articles(300, total))
            total += 300
            assert second.terminate() == 0, second.log.read_text()
        helpers.produce(run.bootstrap, run.input, articles(100, total))
        total += 100
        run.outcomes(total)
        assert first.metric("nerstream_rebalances_total") >= 3
        assert first.terminate() == 0, first.log.read_text()
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), total)
    assert_all_committed(run)


def test_a_second_worker_of_the_same_instance_fences_the_first(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    settings = run.settings(tiny_model, instance="one")
    with WorkerProcess(settings, tmp_path, "first") as first:
        first.wait_ready()
        with WorkerProcess(settings, tmp_path, "second") as second:
            second.wait_ready()
            helpers.produce(run.bootstrap, run.input, articles(90))
            assert first.wait() == 1
            assert "same instance" in first.log.read_text()
            run.outcomes(90)
            assert second.terminate() == 0
    assert_each_once_in_order(helpers.read_all(run.bootstrap, run.output), 90)


def test_too_many_rejected_stop_the_worker(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    bad = [Record(b"not an article", partition=n % PARTITIONS) for n in range(400)]
    helpers.produce(run.bootstrap, run.input, bad)
    settings = run.settings(tiny_model, dead_letter_window_messages=50)
    with WorkerProcess(settings, tmp_path) as worker:
        assert worker.wait() == 1
        assert "dead_letter_max_ratio" in worker.log.read_text()
    letters = helpers.read_all(run.bootstrap, run.dead_letters)
    assert len(letters) <= 50
    committed = helpers.committed_offsets(run.bootstrap, run.group, run.input)
    assert sum(committed.values()) == len(letters)


def test_an_output_that_the_topic_does_not_take_becomes_a_dead_letter(
    run: Run,
    topics: TopicFactory,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    small = topics("small", partitions=PARTITIONS, config={"max.message.bytes": "20000"})
    big = json.dumps({"id": "40", "body": "ab12 " * 20_000}).encode()
    records = [*articles(40), Record(big, partition=1), *articles(20, 41)]
    helpers.produce(run.bootstrap, run.input, records)
    settings = run.settings(tiny_model, output_topic=small, kafka={"compression.type": "none"})
    with WorkerProcess(settings, tmp_path) as worker:
        helpers.wait_for_records(run.bootstrap, small, 60)
        (letter,) = helpers.wait_for_records(run.bootstrap, run.dead_letters, 1)
        assert worker.terminate() == 0, worker.log.read_text()
    assert letter.value == big
    assert dict(letter.headers)["__nerstream.errors.code"] == b"too_large"
    done = ids(helpers.read_all(run.bootstrap, small))
    assert sorted(done) == [n for n in range(61) if n != 40]


def test_the_lag_is_zero_at_the_end_also_behind_transaction_markers(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    client = helpers.producer(run.bootstrap, transactional_id=f"{run.group}-feeder")
    client.init_transactions(30)
    client.begin_transaction()
    helpers.put(client, run.input, articles(30))
    client.commit_transaction(30)
    with WorkerProcess(run.settings(tiny_model), tmp_path) as worker:
        run.outcomes(30)
        deadline = time.monotonic() + 300
        while True:
            _, body = worker.get("/metrics")
            lags = [
                float(line.rsplit(" ", 1)[1])
                for line in body.splitlines()
                if line.startswith("nerstream_partition_lag_messages{")
            ]
            if len(lags) == PARTITIONS and not any(lags):
                break
            assert time.monotonic() < deadline, lags
            time.sleep(0.2)
        assert worker.metric("nerstream_in_flight_messages") == 0
        consumed = worker.metric("nerstream_messages_consumed_total")
        assert consumed == worker.metric("nerstream_articles_published_total") == 30
