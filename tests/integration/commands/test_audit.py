"""`nerstream audit` on Apache Kafka: what a worker has written passes; planted faults are found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.contracts.headers import source_in, with_source
from consumer.contracts.messages import Position, TopicPartition
from consumer.kafka.tools import ranges
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")
COUNT, PARTITIONS = 60, 3


@dataclass
class Site:
    """Two input topics that a pattern takes in, and where their outcomes go."""

    bootstrap: str
    inputs: tuple[str, str]
    pattern: str
    output: str
    dead: str
    group: str
    folder: Path
    run: Callable[[list[str]], tuple[int, dict[str, Any]]]
    delivery: str = "exactly_once"

    def settings(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.pattern,
            "output_topic": self.output,
            "dead_letter_topic": self.dead,
            "group_id": self.group,
            "delivery": self.delivery,
            "dead_letter_max_ratio": 1.0,
        }

    def work(self, outcomes: int) -> None:
        """A worker makes so many outcomes, and ends."""
        with WorkerProcess(self.settings(), self.folder, command=LIGHT_WORKER) as worker:
            deadline = time.monotonic() + 300
            while len(self.outcomes()) < outcomes:
                assert time.monotonic() < deadline, worker.log.read_text()
                time.sleep(0.3)
            assert worker.terminate() == 0, worker.log.read_text()

    def outcomes(self) -> list[Record]:
        return [
            one
            for topic in (self.output, self.dead)
            for one in helpers.read_all(self.bootstrap, topic)
        ]

    def audit(self, *arguments: str, **settings: Any) -> tuple[int, dict[str, Any]]:
        """The exit code and what `--json` says; the settings are in a file, as the worker's."""
        file = self.folder / "audit.toml"
        merged = {**self.settings(), **settings}
        file.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in merged.items()))
        return self.run(["audit", "--config", str(file), "--json", *arguments])


def records(first: int = 0, count: int = COUNT) -> list[Record]:
    """Keyed and not, articles, tombstones and poison, over the partitions in turn."""
    made = []
    for n in range(first, first + count):
        value: bytes | None = json.dumps({"id": str(n), "title": f"Ada in Łódź {n}"}).encode()
        if n % 11 == 5:
            value = b'{"id": "%d", ' % n
        elif n % 13 == 6:
            value = None
        key = b"k%d" % (n % 7) if n % 2 else None
        headers = (("n", b"%d" % n), ("__nerstream.source", b"else/0/1")) if n % 3 else ()
        made.append(Record(value, key, headers, 1_700_000_000_000 + n, n % PARTITIONS))
    return made


@pytest.fixture
def site(
    kafka: str,
    topics: TopicFactory,
    group: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Site:
    mark = group.removeprefix("group-")
    names = topics(f"in.{mark}.a", PARTITIONS), topics(f"in.{mark}.b", PARTITIONS)
    output, dead = topics("out", PARTITIONS + 2), topics("dead", 2)

    def run(arguments: list[str]) -> tuple[int, dict[str, Any]]:
        capfdbinary.readouterr()
        code = cli.main(arguments)
        said = capfdbinary.readouterr()
        return code, json.loads(said.out) if said.out else {"error": said.err.decode()}

    pattern = rf"^in\.{mark}\..*"
    return Site(kafka, names, pattern, output, dead, group, tmp_path, run)


def planted(site: Site, spoil: Callable[[list[Record]], Sequence[Record]], topics: Any) -> str:
    """Another output topic with the same messages, but for what is spoilt of them."""
    name: str = topics("spoilt", PARTITIONS + 2)
    written = [replace(one, offset=None) for one in helpers.read_all(site.bootstrap, site.output)]
    helpers.produce(site.bootstrap, name, spoil(written))
    return name


def positions(found: dict[str, Any], kind: str) -> list[Position]:
    return [
        Position(TopicPartition(one["topic"], one["partition"]), one["offset"])
        for one in found[kind]["first"]
    ]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_what_a_worker_has_written_passes_and_planted_faults_do_not(
    site: Site, topics: TopicFactory, delivery: str
) -> None:
    site.delivery = delivery
    for topic in site.inputs:
        # Markers, and messages that were taken back, are no inputs.
        upstream = helpers.producer(site.bootstrap, transactional_id=f"{topic}-upstream")
        upstream.init_transactions(60)
        for part in range(3):
            upstream.begin_transaction()
            helpers.put(upstream, topic, records(part * 20, 20))
            if part == 1:
                upstream.flush(60)
                upstream.abort_transaction(60)
            else:
                upstream.commit_transaction(60)
    site.work(2 * 40)
    code, found = site.audit()
    assert code == 0, found
    assert found["inputs"] == 80
    assert found["enriched"] + found["tombstones"] + sum(found["dead_letters"].values()) == 80
    assert found["dead_letters"] == {"invalid_json": 6}
    assert found["cannot_be_said"] == {"inputs": 0, "because": []}

    victim: list[Record] = []

    def spoil(written: list[Record]) -> list[Record]:
        keyless = [one for one in written if one.key is None and one.value and one.partition == 0]
        victim[:] = keyless[:4]
        lost, doubled, altered, late = victim
        out = []
        for one in written:
            if one is lost or one is late:
                continue
            if one is altered:
                one = replace(one, value=(one.value or b"").replace(b"Ada in", b"Bea in"))
            out.append(one)
            if one is doubled:
                out.append(one)
        return [*out, late]

    code, found = site.audit(output_topic=planted(site, spoil, topics))
    assert code == 1
    lost, doubled, altered, late = (source_in(one.headers) for one in victim)
    assert positions(found, "lost") == [lost]
    assert positions(found, "doubled") == [doubled]
    assert positions(found, "altered") == [altered]
    assert positions(found, "reordered") == [late]
    assert found["invented"]["count"] == 0

    def double(written: list[Record]) -> list[Record]:
        return [*written, written[0]]

    code, found = site.audit(output_topic=planted(site, double, topics))
    assert (code, found["doubled"]["count"]) == (int(delivery == "exactly_once"), 1)


def test_from_one_point_to_another(site: Site) -> None:
    for topic in site.inputs:
        helpers.produce(site.bootstrap, topic, records())
    site.work(2 * COUNT)
    topic = site.inputs[0]
    for other in site.inputs:
        helpers.produce(site.bootstrap, other, records(COUNT, 30))
    assert site.audit()[1]["inputs"] == 2 * COUNT
    code, found = site.audit("--until", "latest")
    assert (code, found["inputs"], found["lost"]["count"]) == (1, 2 * COUNT + 60, 60)
    assert len(found["lost"]["first"]) == 20
    code, found = site.audit("--until", "latest", "--from", "committed", "--max-findings", "3")
    assert (code, found["inputs"], len(found["lost"]["first"])) == (1, 60, 3)
    code, found = site.audit("--from", f"{topic}:0:10,{topic}:1:20", "--until", f"{topic}:0:15")
    ranges_of = {(one["topic"], one["partition"]): one for one in found["audited"]}
    assert (code, found["inputs"]) == (0, 5 + 0 + 20 + 3 * 20)
    assert (topic, 1) not in ranges_of
    assert ranges_of[topic, 0] == {"topic": topic, "partition": 0, "start": 10, "end": 15}
    code, found = site.audit("--from", "1700000000030", "--until", "1700000000060")
    assert (code, found["inputs"]) == (0, 60)


def test_what_retention_took_is_told_as_what_cannot_be_said(site: Site) -> None:
    for topic in site.inputs:
        helpers.produce(site.bootstrap, topic, records())
    site.work(2 * COUNT)
    first = site.inputs[0]
    helpers.delete_records(site.bootstrap, first, {0: 12})
    # What is gone of the input hides no outcome.
    assert [site.audit(*strict)[0] for strict in ((), ("--strict",))] == [0, 1]
    helpers.delete_records(site.bootstrap, site.output, {1: 5})
    code, found = site.audit()
    assert (code, found["good"]) == (1, False), found
    assert found["inputs"] == 2 * COUNT - 12
    assert found["cannot_be_said"]["inputs"] >= 5 - 2
    assert found["cannot_be_said"]["because"] == [
        {"reason": "removed", "topic": first, "partition": 0, "start": 0, "end": 12},
        {"reason": "removed", "topic": site.output, "partition": 1, "start": 0, "end": 5},
    ]
    assert site.audit("--allow-unsaid")[0] == 0


def test_outcomes_of_an_earlier_topic_of_the_same_name_are_passed_over(site: Site) -> None:
    topic = site.inputs[0]
    helpers.produce(site.bootstrap, topic, records())
    site.work(COUNT)
    begin = ",".join(
        f"{name}:{partition}:{end}"
        for name in (site.output, site.dead)
        for partition, end in helpers.end_offsets(site.bootstrap, name).items()
    )
    helpers.remove_topics(site.bootstrap, [topic])
    helpers.create_topic(site.bootstrap, topic, PARTITIONS)
    helpers.produce(site.bootstrap, topic, records(COUNT))
    site.work(2 * COUNT)
    code, found = site.audit()
    assert (code, found["altered"]["count"]) == (1, COUNT)
    code, found = site.audit("--outcomes-from", begin)
    assert (code, found["inputs"]) == (0, COUNT), found
    assert {one["reason"] for one in found["cannot_be_said"]["because"]} == {"skipped"}
    assert found["cannot_be_said"]["inputs"] == 0


def test_an_open_transaction_is_waited_for_and_then_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_GRACE_S", 1.0)
    helpers.produce(site.bootstrap, site.inputs[0], records())
    site.work(COUNT)
    hanging = helpers.producer(site.bootstrap, transactional_id=f"{site.group}-hanging")
    hanging.init_transactions(60)
    hanging.begin_transaction()
    # It looks like an outcome, but nobody may see it.
    copy = helpers.read_all(site.bootstrap, site.output)[0]
    helpers.put(hanging, site.output, [replace(copy, offset=None)])
    hanging.flush(60)
    code, found = site.audit(transaction_timeout_ms=1_000)
    assert code == 0, found
    (told,) = found["cannot_be_said"]["because"]
    assert (told["reason"], told["topic"]) == ("open", site.output)
    assert told["partition"] == copy.partition
    hanging.abort_transaction(60)
    helpers.settled_ends(site.bootstrap, site.output)
    code, found = site.audit()
    assert (code, found["cannot_be_said"]["because"]) == (0, [])


def test_what_an_older_version_wrote_is_told(site: Site, topics: TopicFactory) -> None:
    helpers.produce(site.bootstrap, site.inputs[0], records())
    site.work(COUNT)

    def unnamed(written: list[Record]) -> list[Record]:
        """The first of each partition name no input."""
        seen: set[int | None] = set()
        out = []
        for one in written:
            fresh = one.partition not in seen
            seen.add(one.partition)
            out.append(replace(one, headers=()) if fresh else one)
        return out

    code, found = site.audit(output_topic=planted(site, unnamed, topics))
    assert (code, found["good"]) == (1, False), found
    said = found["cannot_be_said"]
    used = {one.partition for one in helpers.read_all(site.bootstrap, site.output)}
    assert said["inputs"] == len(said["because"]) == len(used)
    assert {one["reason"] for one in said["because"]} == {"unnamed"}


def test_a_compacted_output_is_told(site: Site, topics: TopicFactory) -> None:
    keyed = [replace(one, key=one.key or b"k") for one in records()]
    helpers.produce(site.bootstrap, site.inputs[0], keyed)
    # The broker must not get round to it meanwhile: then outcomes are gone, and that is told too.
    kept = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(2**63 - 1)}
    site.output = topics("compacted", 2, kept)
    site.work(COUNT)
    code, found = site.audit()
    assert code == 0, found
    assert {one["reason"] for one in found["cannot_be_said"]["because"]} == {"compacted"}
    assert found["cannot_be_said"]["inputs"] == 0


def test_an_outcome_of_an_input_that_is_not_there_is_told(site: Site, topics: TopicFactory) -> None:
    upstream = helpers.producer(site.bootstrap, transactional_id=f"{site.group}-upstream")
    upstream.init_transactions(60)
    upstream.begin_transaction()
    helpers.put(upstream, site.inputs[0], records())
    upstream.commit_transaction(60)
    # The commit is answered before its markers are written.
    helpers.settled_ends(site.bootstrap, site.inputs[0])
    helpers.produce(site.bootstrap, site.inputs[0], records())
    site.work(2 * COUNT)
    marker = Position(TopicPartition(site.inputs[0], 0), COUNT // PARTITIONS)

    def invent(written: list[Record]) -> list[Record]:
        return [
            *written,
            *(
                replace(written[0], headers=tuple(with_source((), one)))
                for one in (marker, beyond, nowhere)
            ),
        ]

    beyond = Position(TopicPartition(site.inputs[1], 1), 0)
    nowhere = Position(TopicPartition(site.inputs[0], PARTITIONS), 0)
    output = planted(site, invent, topics)
    stranger = topics("stranger")
    helpers.produce(site.bootstrap, stranger, [Record(b"none of ours")])
    code, found = site.audit(output_topic=output, dead_letter_topic=stranger)
    assert (code, positions(found, "invented")) == (1, [marker, beyond, nowhere])
    # Those among the dead letters are not there, and what is there hides none of them.
    assert (found["lost"]["count"], found["cannot_be_said"]["inputs"]) == (2 * 5, 0)
    assert (found["foreign"]["count"], positions(found, "foreign")) == (
        1,
        [Position(TopicPartition(stranger, 0), 0)],
    )


def test_what_is_missing_is_told_with_what_to_do(site: Site) -> None:
    code, found = site.audit(group_id="nobody")
    assert code == 0  # there is no input yet
    helpers.produce(site.bootstrap, site.inputs[0], records())
    code, found = site.audit(group_id="nobody")
    assert code == 1
    assert "the group nobody has committed nothing" in found["error"]
    assert "--until" in found["error"]
    code, found = site.audit("--until", "latest", output_topic="nowhere")
    assert code == 1
    assert "the topic nowhere (output_topic) cannot be used" in found["error"]
    code, found = site.audit("--until", f"{site.inputs[0]}:0:1000")
    assert code == 2
    assert "--until: " in found["error"]
    code, found = site.audit("--from", "else:0:1")
    assert code == 2
    assert "else:0 is no partition of the input" in found["error"]
