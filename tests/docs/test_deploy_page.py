"""The commands of the page on deployment, run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path

import pytest

from consumer import cli
from consumer.commands.doctor import model_look
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.models.tiny_models import save_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "deploy.md"


def commands() -> list[str]:
    """Each look before the first message, without the program's name."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    found = re.findall(r"^\$ \.venv/bin/nerstream (doctor .*)$", "".join(blocks), re.MULTILINE)
    assert len(found) == 4
    return found


def test_each_command_does_what_the_page_says(
    kafka: str,
    topics: TopicFactory,
    group: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    articles = topics("articles", 2)
    value = json.dumps({"id": "1", "title": "Ada Lovelace"}).encode()
    now_ms = round(time.time() * 1000)
    helpers.produce(kafka, articles, [helpers.Record(value, timestamp_ms=now_ms)] * 5)
    model = save_tiny_model(tmp_path / "model")
    (tmp_path / "worker.toml").write_text(
        f'bootstrap_servers = "{kafka}"\ninput_topics = ["{articles}"]\n'
        f'output_topic = "{topics("tagged", 2)}"\ndead_letter_topic = "{topics("dead")}"\n'
        f'group_id = "{group}"\nmodel = "{model}"\ndevice = "cpu"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model_look, "MEASURE_S", 0.1)
    outs = []
    for line in commands():
        code = cli.main(shlex.split(line))
        outs.append(capsys.readouterr().out)
        assert code == 0, outs[-1]
    whole, short, sampled, lines = outs
    assert "  ok    rate " in whole
    assert "made-up news" in " ".join(whole.split())
    assert "  ?     model " in short
    assert "none of 5 messages would be rejected" in sampled
    assert "1 worker of this machine" in " ".join(sampled.split())
    assert {json.loads(line)["room"] for line in lines.splitlines()} == {
        *("brokers", "topics", "access", "timeouts", "model")
    }
