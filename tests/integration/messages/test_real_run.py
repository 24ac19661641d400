"""The 216 articles of CoNLL-2003's dev split, through Apache Kafka and back.

The corpus is licensed for research and is not part of the project; the test skips where its file
is not beside the checkout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer.evaluation.conll import read_conll
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.processes import warm_process

DEV = Path(__file__).parents[4] / "shared" / "conll2003" / "dev.txt"


def entities_of(document: Mapping[str, Any]) -> list[tuple[str, str, int, int]]:
    """Everything of the entities but their scores, which are rounded differently by batch."""
    return [(one["field"], one["type"], one["start"], one["end"]) for one in document["entities"]]


@pytest.mark.skipif(not DEV.exists(), reason=f"needs {DEV}, which is not part of the project")
@pytest.mark.timeout(900)
def test_the_dev_articles_come_back_with_the_entities_of_nerstream_tag(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    texts = [
        "\n".join(" ".join(sentence.words) for sentence in article.sentences)
        for article in read_conll(DEV)
    ]
    assert len(texts) == 216
    lines = [
        json.dumps({"id": str(number), "body": text}).encode() for number, text in enumerate(texts)
    ]
    file = tmp_path / "dev.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    names = {name: topics(name, partitions=3) for name in ("in", "out", "dead")}
    helpers.produce(
        kafka, names["in"], [Record(line, str(n).encode()) for n, line in enumerate(lines)]
    )

    settings = {
        "bootstrap_servers": kafka,
        "input_topics": names["in"],
        "output_topic": names["out"],
        "dead_letter_topic": names["dead"],
        "group_id": group,
        "model": "bundled",
        "threads": 0,
        # `nerstream tag` below tokenises in its own process, and must say the same.
        "tokenizer_processes": 2,
    }
    with WorkerProcess(settings, tmp_path, warm=False) as worker:
        records = helpers.wait_for_records(kafka, names["out"], 216, timeout_s=600)
        assert worker.terminate() == 0, worker.log.read_text()
    assert helpers.read_all(kafka, names["dead"]) == []
    out = {
        document["id"]: document for document in (json.loads(one.value or b"") for one in records)
    }
    assert len(records) == len(out) == 216

    tagged = warm_process.run(
        [sys.executable, "-m", "consumer", "tag", "--model", "bundled", str(file)],
        capture_output=True,
        check=True,
        timeout=600,
    )
    alone = {one["id"]: one for one in map(json.loads, tagged.stdout.splitlines())}
    assert alone.keys() == out.keys()
    found = 0
    for number, text in enumerate(texts):
        document = out[str(number)]
        assert document["body"] == text
        assert entities_of(document) == entities_of(alone[str(number)])
        for entity in document["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"]
        found += len(document["entities"])
    # The corpus has 5,942 entities; a model that works finds about as many.
    assert 5_400 < found < 6_500
