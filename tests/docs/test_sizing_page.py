"""The commands of the page on sizing, run as they stand there."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.models.tiny_models import save_tiny_model
from tests.support.monitoring.files import ROOT
from tests.support.monitoring.pages import Place, commands
from tests.support.monitoring.programs import tools_or_skip

PAGE = (ROOT / "docs/operations/sizing.md").read_text("utf-8")


def test_each_command_does_what_the_page_says(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    tools_or_skip()
    model = save_tiny_model(tmp_path / "model")
    articles = topics("articles", 2)
    value = json.dumps({"id": "1", "title": "Ada Lovelace"}).encode()
    now_ms = round(time.time() * 1000)
    helpers.produce(kafka, articles, [helpers.Record(value, timestamp_ms=now_ms)] * 5)
    (tmp_path / "worker.toml").write_text(
        f'bootstrap_servers = "{kafka}"\ninput_topics = ["{articles}"]\n'
        f'output_topic = "{topics("tagged", 2)}"\ndead_letter_topic = "{topics("dead")}"\n'
        f'group_id = "{group}"\nmodel = "{model}"\ndevice = "cpu"\n'
    )
    place = Place(tmp_path, {"localhost:9092": kafka, "articles": articles})
    given = list(commands(PAGE))
    assert len(given) == 3
    for command in given:
        problem = place.run(command)
        assert not problem, problem
