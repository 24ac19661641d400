"""Two models in one worker on Apache Kafka: each article by its language's, the rest passes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.processes import warm_process

TEXTS = (
    "Marta Lindqvist of Nordbank met Jean Okafor in Lisbon on Tuesday.",
    "The harbour of Kotor reopened after engineers repaired its breakwater.",
)
LANGUAGES = ("en", "de-AT", "fr", "EN_us", "de", "en")


def settings_of(tiny_model: Path) -> dict[str, Any]:
    return {
        "models": {"en": "bundled", "de": str(tiny_model)},
        "language_field": "meta.language",
        "language_detection": "off",
        "device": "cpu",
        "threads": 1,
    }


def told(document: dict[str, Any]) -> tuple[object, ...]:
    """What the tagger says of an article, scores and times left out."""
    entities = [(one["field"], one["type"], one["text"]) for one in document["entities"]]
    tagging = document["tagging"]
    names = ("model", "revision", "skipped", "language")
    return (entities, *(tagging.get(name) for name in names))


def test_each_article_is_tagged_by_the_model_of_its_language(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, tiny_model: Path
) -> None:
    values = [
        json.dumps(
            {
                "id": str(number),
                "body": TEXTS[number % 2],
                "meta": {"language": LANGUAGES[number % len(LANGUAGES)]},
            }
        ).encode()
        for number in range(120)
    ]
    names = {name: topics(name, partitions=2) for name in ("in", "out", "dead")}
    records = [Record(value, partition=number % 2) for number, value in enumerate(values)]
    helpers.produce(kafka, names["in"], records)
    settings = settings_of(tiny_model)
    on_kafka = {
        "bootstrap_servers": kafka,
        "input_topics": names["in"],
        "output_topic": names["out"],
        "dead_letter_topic": names["dead"],
        "group_id": group,
    }
    with WorkerProcess({**settings, **on_kafka}, tmp_path) as worker:
        written = helpers.wait_for_records(kafka, names["out"], 120)
        # A reader may see what is committed before the worker counts it.
        worker.wait_until(
            lambda: worker.metric("nerstream_articles_published_total") == 120, "all are counted"
        )
        assert worker.metric("nerstream_articles_untagged_total") == 20
        assert worker.terminate() == 0, worker.log.read_text()
    assert helpers.read_all(kafka, names["dead"]) == []
    found = {one["id"]: one for one in (json.loads(record.value or b"") for record in written)}
    assert len(written) == len(found) == 120
    for partition in (0, 1):
        ids = [json.loads(one.value or b"")["id"] for one in written if one.partition == partition]
        assert ids == [str(number) for number in range(partition, 120, 2)], "the order holds"
    models = {
        LANGUAGES[int(one["id"]) % len(LANGUAGES)]: one["tagging"].get("model")
        for one in found.values()
    }
    assert models == {
        "en": "bundled",
        "EN_us": "bundled",
        "de": tiny_model.name,
        "de-AT": tiny_model.name,
        "fr": None,
    }
    assert found["2"]["tagging"]["skipped"] == "language"
    assert [one["text"] for one in found["0"]["entities"]][:2] == ["Marta Lindqvist", "Nordbank"]

    # `nerstream tag` says the same of each, whatever its batches were.
    file = tmp_path / "articles.jsonl"
    file.write_bytes(b"\n".join(values) + b"\n")
    flags = [f"--models={name}={model}" for name, model in settings.pop("models").items()]
    flags += [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    tagged = warm_process.run(
        [sys.executable, "-m", "consumer", "tag", *flags, str(file)],
        capture_output=True,
        check=True,
    )
    lines = [json.loads(line) for line in tagged.stdout.splitlines()]
    assert [told(one) for one in lines] == [told(found[str(number)]) for number in range(120)]
