"""A worker that traces, on Apache Kafka: its spans, its headers, and each message found again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.contracts.traces import TraceParent, traceparent_in
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.servers.otlp_receiver import OtlpReceiver, attributes_of, otlp_receiver

pytestmark = pytest.mark.kafka

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")
TRACED, POISON, TOMBSTONE, PLAIN = range(4)
PARENT = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
TIME_MS = 1_700_000_000_000

#: The exit code, and what `--json` says.
Find = Callable[..., tuple[int, list[dict[str, Any]]]]


def records() -> list[Record]:
    """One of each kind, behind each other in one partition."""
    context = (("desk", b"1"), ("traceparent", PARENT.header()))
    bad = (("traceparent", PARENT._replace(trace_id="12" * 16).header()),)
    values = {
        TRACED: (b'{"id": "a/1", "title": "Ada in Oslo"}', b"k", context),
        POISON: (b"{", b"poison", bad),
        TOMBSTONE: (None, b"k", ()),
        PLAIN: (b'{"id": "a/2", "title": "Bob in Oslo"}', b"a/1", ()),
    }
    return [
        Record(value, key, headers, TIME_MS + offset, 0)
        for offset, (value, key, headers) in values.items()
    ]


def test_a_traced_message_is_followed_and_found(
    kafka: str,
    topics: TopicFactory,
    group: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    source, output, dead = topics("in", 1), topics("out", 3), topics("dead", 2)
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "dead_letter_max_ratio": 1.0,
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]

    def find(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        capfdbinary.readouterr()
        taken = [flag for flag in flags if not flag.startswith("--dead-letter-max")]
        code = cli.main(["find", "--json", *arguments, *taken])
        said = capfdbinary.readouterr()
        assert not said.err, said.err
        return code, [json.loads(line) for line in said.out.splitlines()]

    helpers.produce(kafka, source, records())
    with otlp_receiver() as receiver:
        tracing = {"traces": "on", "traces_share": 0, "traces_endpoint": receiver.address}
        with WorkerProcess(settings | tracing, tmp_path, command=LIGHT_WORKER) as worker:
            deadline = time.monotonic() + 300
            while helpers.committed_offsets(kafka, group, source).get(0) != 4:
                assert time.monotonic() < deadline, worker.log.read_text()
                time.sleep(0.2)
            assert worker.terminate() == 0, worker.log.read_text()
        check_spans(receiver, helpers.read_all(kafka, output), helpers.read_all(kafka, dead))

    helpers.produce(kafka, source, [Record(b'{"id": "a/3", "title": "Eve"}', b"k", (), TIME_MS, 0)])
    before = state(kafka, group, source, output, dead)
    check_fates(find, source, output)
    assert state(kafka, group, source, output, dead) == before, "something was written"


def check_spans(receiver: OtlpReceiver, enriched: list[Record], letters: list[Record]) -> None:
    """Each traced message has its span, and left with a context in the trace that it came in."""
    spans = {
        attributes_of(span)["messaging.kafka.offset"]: span
        for span in receiver.named("process " + str(receiver_topic(receiver)))
    }
    assert set(spans) == {TRACED, POISON}
    assert spans[TRACED].trace_id.hex() == PARENT.trace_id
    assert spans[TRACED].parent_span_id.hex() == PARENT.span_id
    assert attributes_of(spans[POISON])["nerstream.rejected.code"] == "invalid_json"
    sent = {span.span_id.hex() for span in receiver.spans if span.name.startswith("send ")}
    traced = [one for one in enriched + letters if traceparent_in(one.headers) is not None]
    parents = [traceparent_in(one.headers) for one in traced]
    assert {one.span_id for one in parents if one} == sent
    assert {one.trace_id for one in parents if one} == {PARENT.trace_id, "12" * 16}
    assert len(traced) == 2


def receiver_topic(receiver: OtlpReceiver) -> Any:
    """The input topic, by the spans."""
    (topic,) = {
        attributes_of(span)["messaging.destination.name"]
        for span in receiver.spans
        if span.name.startswith("process ")
    }
    return topic


def check_fates(find: Find, source: str, output: str) -> None:
    """Every message is found, by its place and by its id, with what became of it."""
    code, found = find(*(f"{source}/0/{offset}" for offset in range(4)))
    assert code == 0
    kinds = [one["outcomes"][0]["kind"] for one in found]
    assert kinds == ["enriched", "dead letter", "tombstone", "enriched"]
    assert [one["behind"] for one in found] == [0, 0, 0, 0]
    traced, poison, _, plain = found
    assert traced["id"] == "a/1"
    assert traced["trace_id"] == traced["outcomes"][0]["trace_id"] == PARENT.trace_id
    assert traced["outcomes"][0]["latency_s"] > 0
    assert poison["outcomes"][0]["code"] == "invalid_json"
    assert poison["outcomes"][0]["sent_to"] == []
    assert plain["trace_id"] is None

    place = traced["outcomes"][0]
    code, (same,) = find(f"{output}/{place['partition']}/{place['offset']}")
    assert (code, same) == (0, traced)

    # One has it for its id, another for its key.
    code, named = find("--id", "a/1", "--from", str(TIME_MS), "--until", str(TIME_MS + 4))
    assert code == 0
    assert [one["input"]["offset"] for one in named] == [TRACED, PLAIN]

    code, (waiting,) = find(f"{source}/0/4")
    assert (code, waiting["state"], waiting["behind"]) == (3, "waiting", 1)
    code, (absent,) = find(f"{source}/0/5")
    assert (code, absent["absence"]) == (1, "to come")


def state(kafka: str, group: str, *topics: str) -> Any:
    """What is written where, and what is committed."""
    ends = [helpers.end_offsets(kafka, topic, "read_uncommitted") for topic in topics]
    return ends, helpers.committed_offsets(kafka, group, topics[0])
