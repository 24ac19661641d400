"""The page for a newcomer with a Kafka of his own: its commands and files, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from consumer import cli
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.monitoring.programs import program_or_skip

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guides/ten-minutes.md").read_text("utf-8")
PROMETHEUS = ROOT / "deploy/prometheus"


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def nerstream(name: str) -> list[str]:
    """The words of the one command of this name."""
    lines = re.findall(rf"^\$ \.venv/bin/nerstream ({name} .*)$", PAGE, re.MULTILINE)
    (line,) = lines
    return shlex.split(line)


def test_the_settings_are_right_one_after_the_other(tmp_path: Path) -> None:
    first, mapped = blocks("toml")
    for text in (first, first + mapped):
        (tmp_path / "worker.toml").write_text(text, encoding="utf-8")
        settings = load_settings(Namespace(), {}, tmp_path / "worker.toml")
        assert settings.model == "bundled"
    assert settings.text_fields == ("headline", "text")


def test_the_look_says_what_does_not_fit_and_then_that_it_does(
    kafka: str,
    topics: TopicFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    articles, tagged, dead = topics("articles", 2), topics("tagged", 2), topics("dead", 2)
    value = {"guid": "a-1", "headline": "Rain in Oslo", "text": "Ada Lovelace was there."}
    now_ms = round(time.time() * 1000)
    record = helpers.Record(json.dumps(value).encode(), timestamp_ms=now_ms)
    helpers.produce(kafka, articles, [record] * 20)
    first, mapped = blocks("toml")
    ours = first.replace("localhost:9092", kafka)
    # The longest first: each name is the beginning of the next.
    for name, topic in (
        ('"articles-dead-letters"', dead),
        ('"articles-tagged"', tagged),
        ('"articles"', articles),
    ):
        ours = ours.replace(name, f'"{topic}"')
    monkeypatch.chdir(tmp_path)
    told = []
    for text in (ours, ours + mapped):
        (tmp_path / "worker.toml").write_text(text, encoding="utf-8")
        cli.main(nerstream("doctor"))
        told.append(" ".join(capsys.readouterr().out.split()))
    assert "20 of 20 messages would be rejected" in told[0]
    assert "missing_id" in told[0]
    assert "none of 20 messages would be rejected" in told[1]


def test_prometheus_scrapes_the_worker_of_the_page() -> None:
    assert "--config.file=deploy/prometheus/one-worker.yml" in PAGE
    path = PROMETHEUS / "one-worker.yml"
    (job,) = yaml.safe_load(path.read_text("utf-8"))["scrape_configs"]
    assert job["job_name"] == "nerstream"
    assert job["static_configs"] == [{"targets": [f"localhost:{Settings().admin_port}"]}]
    done = subprocess.run(
        [program_or_skip("promtool"), "check", "config", path], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
