"""HTML, languages, chosen entities and names, from topic to topic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consumer.codec.text.markup import without_markup
from tests.conftest import TopicFactory
from tests.integration.rigs.helpers import Record, produce, wait_for_records
from tests.integration.rigs.worker_process import WorkerProcess

LIGHT = ("-m", "tests.faults.workers.light_worker")

ENGLISH = "the tram ran again on Monday, and the mayor of Lisbon was the first to ride in it"
GERMAN = "die Bahn fährt wieder, und die Bürgermeisterin von Hamburg saß als Erste darin, sagte sie"


def test_from_topic_to_topic(kafka: str, topics: TopicFactory, group: str, tmp_path: Path) -> None:
    names = {name: topics(name) for name in ("in", "out", "dead")}
    documents: list[dict[str, Any]] = [
        {"id": "0", "body": f"<p>{ENGLISH} with An<b>gela</b> &Eacute;mile.</p>"},
        {"id": "1", "body": f"<p>{GERMAN}</p>"},
        {"id": "2", "body": f"<p>{GERMAN}</p>", "lang": "en-GB"},
        {"id": "3", "body": "<!-- <p>Ann</p> --><script>Ann</script>"},
        {"id": "4", "body": f"<a title='Ann'>{ENGLISH}</a>" + "<b>" * 50_000},
    ]
    produce(kafka, names["in"], [Record(json.dumps(one).encode()) for one in documents])
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": names["in"],
        "output_topic": names["out"],
        "dead_letter_topic": names["dead"],
        "group_id": group,
        "text_fields": "body",
        "text_format": "html",
        "no_text": "pass",
        "language_field": "lang",
        "languages": "en",
        "type_names": "NAME=name",
        "group_mentions": "on",
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT) as worker:
        found = [
            json.loads(record.value or b"") for record in wait_for_records(kafka, names["out"], 5)
        ]
        counted = [
            *(
                f'nerstream_articles_untagged_total{{reason="{reason}"}} 1.0'
                for reason in ("language", "no_text")
            ),
            'nerstream_entities_total{type="name"}',
        ]
        # What is committed is counted a moment after a reader may have it.
        worker.wait_until(
            lambda: all(one in worker.get("/metrics")[1] for one in counted), "the metrics"
        )
        assert worker.terminate() == 0
    for document, answer in zip(documents, found, strict=True):
        assert {name: answer[name] for name in document} == document
        for entity in answer["entities"]:
            piece = document["body"][entity["start"] : entity["end"]]
            assert without_markup(piece) == entity["text"]
        mentions = sorted(at for name in answer["names"] for at in name["mentions"])
        assert mentions == list(range(len(answer["entities"])))
    first, german, told, empty, deep = found
    assert [one["text"] for one in first["entities"]] == ["Monday", "Lisbon", "Angela", "Émile"]
    assert {one["type"] for one in first["entities"]} == {"name"}
    assert first["tagging"]["language"] == "en"
    assert (german["tagging"]["skipped"], german["tagging"]["language"]) == ("language", "de")
    assert (told["tagging"]["language"], len(told["entities"]) > 0) == ("en-GB", True)
    assert empty["tagging"]["skipped"] == "no_text"
    assert [one["text"] for one in deep["entities"]] == ["Monday", "Lisbon"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"types": "PER"}, "types: no model here answers with the type PER; there is NAME"),
        ({"type_names": "PER=x"}, "type_names: no model here answers with the type PER"),
    ],
)
def test_a_type_that_the_model_has_not_ends_the_worker_at_the_start(
    kafka: str,
    topics: TopicFactory,
    group: str,
    tmp_path: Path,
    settings: dict[str, str],
    told: str,
) -> None:
    names = {name: topics(name) for name in ("in", "out", "dead")}
    given = {
        "bootstrap_servers": kafka,
        "input_topics": names["in"],
        "output_topic": names["out"],
        "dead_letter_topic": names["dead"],
        "group_id": group,
        **settings,
    }
    with WorkerProcess(given, tmp_path, command=LIGHT) as worker:
        assert worker.wait() == 2
    assert told in worker.log.read_text()
