"""A device that fails, on Apache Kafka: no memory, no numbers, no answer, no device any more.

The worker is a process with the real tagger; what it should have said comes from the same model
in this process, on a device that does not fail.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumer.tagging.tagger import Tagger
from tests.conftest import TopicFactory
from tests.faults.workers.device_worker import BREAK_WORD, FITS_TOKENS, HANG_WORD, NAN_WORD
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import PATIENCE_S, WorkerProcess
from tests.support.models.tiny_models import (
    SENTENCES,
    article,
    entities_of,
    tiny_folder,
    tiny_tagger,
)

pytestmark = pytest.mark.kafka

PARTITIONS = 2

#: Seconds after which a pass that hangs is noticed.
STALL_S = 6

#: Stand in the texts that the device fails at, and in no other.
WORD = "Vesna"
OTHER_WORD = "Brien"

#: Sentences whose windows all fit into `FITS`, and of which several do not together.
GOOD = tuple(one for one in SENTENCES if WORD not in one and OTHER_WORD not in one)
FITS = 60

#: Fills windows of 64 tokens, the longest that the tiny model takes.
GIANT = " ".join(GOOD)


@dataclass(frozen=True)
class Ground:
    """The topics and the group of one worker, and what it has to tag."""

    bootstrap: str
    input: str
    output: str
    dead_letters: str
    texts: Sequence[str]

    @property
    def group(self) -> str:
        return f"group-{self.input}"

    def records(self) -> list[Record]:
        return [
            Record(
                json.dumps({"id": str(n), "body": text}, ensure_ascii=n % 2 == 0).encode(),
                key=f"key-{n}".encode(),
                headers=(("n", str(n).encode()),),
                partition=n % PARTITIONS,
            )
            for n, text in enumerate(self.texts)
        ]

    def worker(self, folder: Path, delivery: str, faults: Mapping[str, str]) -> WorkerProcess:
        settings: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead_letters,
            "group_id": self.group,
            "delivery": delivery,
            "model": str(tiny_folder()),
            "dtype": "float32",
            "window_overlap_tokens": 16,
            "batch_tokens": 512,
            "batch_articles": 8,
            "commit_interval_ms": 50,
            "dead_letter_max_ratio": 1,
            # For a machine that has much else to do; only a test of hanging waits for it.
            "stall_timeout_s": STALL_S if HANG_WORD in faults else 120,
        }
        command = ("-m", "tests.faults.workers.device_worker")
        return WorkerProcess(settings, folder, self.input, command, faults)

    def outputs(self) -> dict[int, list[dict[str, Any]]]:
        """The documents in the output topic, by id, as a `read_committed` reader sees them."""
        found: dict[int, list[dict[str, Any]]] = {}
        for record in helpers.read_all(self.bootstrap, self.output):
            document = json.loads(record.value or b"")
            found.setdefault(int(document["id"]), []).append(document)
        return found

    def committed(self) -> dict[int, int]:
        return helpers.committed_offsets(self.bootstrap, self.group, self.input)

    def wait_until_all_is_committed(self, published: int) -> None:
        # A group is asked for what it committed only once it has: a coordinator that has not
        # found its place yet answers with an error, or not at all.
        helpers.wait_for_records(self.bootstrap, self.output, published, PATIENCE_S)
        ends = helpers.end_offsets(self.bootstrap, self.input)
        deadline = time.monotonic() + PATIENCE_S
        while self.committed() != ends:
            assert time.monotonic() < deadline, f"{self.committed()} of {ends} committed"
            time.sleep(0.2)


@pytest.fixture
def make_ground(kafka: str, topics: TopicFactory) -> Any:
    def make(texts: Sequence[str]) -> Ground:
        names = [topics(name, partitions=PARTITIONS) for name in ("in", "out", "dead")]
        ground = Ground(kafka, names[0], names[1], names[2], texts=texts)
        helpers.produce(kafka, ground.input, ground.records())
        return ground

    return make


@pytest.fixture(scope="module")
def sound() -> Tagger:
    """The same model on a device that does not fail."""
    return tiny_tagger()


def assert_tagged_as_by(sound: Tagger, ground: Ground, document: Mapping[str, Any]) -> None:
    number = int(document["id"])
    text = ground.texts[number]
    assert document["body"] == text
    expected = entities_of(sound, text)
    assert [
        (one["field"], one["type"], one["text"], one["start"], one["end"])
        for one in document["entities"]
    ] == [(e.field, e.type, e.text, e.start, e.end) for e in expected]
    scores = [one["score"] for one in document["entities"]]
    assert scores == pytest.approx([entity.score for entity in expected], abs=1e-4)


def code_of(record: Record) -> str:
    return (dict(record.headers)["__nerstream.errors.code"] or b"").decode()


def test_no_memory_and_no_numbers_cost_only_the_articles_that_cannot_be_tagged(
    make_ground: Any, sound: Tagger, tmp_path: Path
) -> None:
    texts = [GOOD[n % len(GOOD)] for n in range(120)]
    poisoned = {n: f"{texts[n]} Fans of FC {WORD} cheer." for n in range(5, 120, 13)}
    too_large = dict.fromkeys((40, 41, 99), GIANT)
    for n, text in {**poisoned, **too_large}.items():
        texts[n] = text
    lengths = [
        length
        for text in texts
        for length in sound._forward.begin(
            sound.encode([article(0, text)]),
            lambda: None,
        ).windows.lengths
    ]
    assert max(lengths) == 64 > FITS
    ground = make_ground(texts)
    faults = {FITS_TOKENS: str(FITS), NAN_WORD: WORD, BREAK_WORD: OTHER_WORD}
    with ground.worker(tmp_path, "exactly_once", faults) as worker:
        ground.wait_until_all_is_committed(120 - len(poisoned) - len(too_large))
        assert worker.get("/healthz")[0] == 200
        splits = worker.metric("nerstream_out_of_memory_splits_total")
        # Last of all an article that breaks the device: no fault of the article, nor its end.
        committed = ground.committed()
        breaking = json.dumps({"id": "120", "body": f"O'{OTHER_WORD} scored twice."}).encode()
        helpers.produce(ground.bootstrap, ground.input, [Record(breaking, partition=0)])
        assert worker.wait() == 1, worker.log.read_text()
        assert ground.committed() == committed
        assert (
            "nerstream: error: a forward pass failed on cpu: CUDA error: an illegal memory access "
            "was encountered\n" in worker.log.read_text()
        )
    # 512 tokens are halved to 256, 128, 64 and 32, and that is remembered.
    assert 1 <= splits <= 10
    told = [event["event"] for event in worker.events() if "out of memory" in event["event"]]
    assert len(told) == splits

    outputs = ground.outputs()
    assert outputs.keys() == set(range(120)) - poisoned.keys() - too_large.keys()
    for documents in outputs.values():
        (document,) = documents
        assert_tagged_as_by(sound, ground, document)
    dead = helpers.read_all(ground.bootstrap, ground.dead_letters)
    originals = ground.records()
    found = {}
    for record in dead:
        number = int(dict(record.headers)["n"] or b"")
        found[number] = code_of(record)
        assert (record.value, record.key) == (originals[number].value, originals[number].key)
    assert len(dead) == len(found)
    assert found == {
        **dict.fromkeys(poisoned, "not_a_number"),
        **dict.fromkeys(too_large, "out_of_memory"),
    }


def test_a_worker_whose_device_hangs_ends_itself_and_nothing_is_lost(
    kafka: str, make_ground: Any, sound: Tagger, tmp_path: Path
) -> None:
    texts = [GOOD[n % len(GOOD)] for n in range(60)]
    texts[31] = f"Fans of FC {WORD} cheer."
    # Both at once, since what takes time here is waiting.
    modes = {delivery: make_ground(texts) for delivery in ("exactly_once", "at_least_once")}
    with contextlib.ExitStack() as stack:
        workers = {
            delivery: stack.enter_context(ground.worker(tmp_path, delivery, {HANG_WORD: WORD}))
            for delivery, ground in modes.items()
        }
        for delivery, worker in workers.items():
            # The articles before the one that hangs come out.
            helpers.wait_for_records(kafka, modes[delivery].output, 8, PATIENCE_S)
            said = wait_until_red(worker)
            assert "stage tag has made no progress for" in said
            assert f"(stall_timeout_s={STALL_S})" in said
        for delivery, worker in workers.items():
            assert worker.wait() == 1, worker.log.read_text()
            log = worker.log.read_text()
            assert "nerstream: error: stage tag has made no progress for" in log
            assert "messages are uncommitted and will be read again" in log
            assert "threading.Event().wait()" in log  # where it hung
            assert_only_what_is_committed_is_published(modes[delivery], delivery)

        healthy = {
            delivery: stack.enter_context(ground.worker(tmp_path, delivery, {}))
            for delivery, ground in modes.items()
        }
        for delivery, ground in modes.items():
            ground.wait_until_all_is_committed(len(texts))
            assert healthy[delivery].terminate() == 0, healthy[delivery].log.read_text()
            outputs = ground.outputs()
            assert outputs.keys() == set(range(60)), "lost"
            if delivery == "exactly_once":
                assert set(map(len, outputs.values())) == {1}, "doubled"
            for documents in outputs.values():
                for document in documents:
                    assert_tagged_as_by(sound, ground, document)
            assert helpers.read_all(ground.bootstrap, ground.dead_letters) == []


def wait_until_red(worker: WorkerProcess) -> str:
    """What `/healthz` says, once it says that the worker does not live."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status, said = worker.get("/healthz")
        if status == 503:
            return said
        assert worker.process.poll() is None, f"ended unseen:\n{worker.log.read_text()}"
        time.sleep(0.1)
    raise AssertionError(f"not red in {PATIENCE_S} s:\n{worker.log.read_text()}")


def assert_only_what_is_committed_is_published(ground: Ground, delivery: str) -> None:
    """After the failure: the article that failed stays uncommitted, and so does what is behind."""
    committed = ground.committed()
    assert committed.get(31 % PARTITIONS, 0) <= 31 // PARTITIONS
    published = Counter(n % PARTITIONS for n in ground.outputs())
    for partition in range(PARTITIONS):
        if delivery == "exactly_once":
            assert published[partition] == committed.get(partition, 0)
        else:
            assert published[partition] >= committed.get(partition, 0)
    assert helpers.read_all(ground.bootstrap, ground.dead_letters) == []
