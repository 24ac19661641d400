"""What the README says, held against the code."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

from consumer import cli
from consumer.codec.article_codec import Codec
from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.settings.schema import Settings
from consumer.telemetry import declarations

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """The words of each nerstream command in a console block, pipes cut off."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ ") and "nerstream " in line:
                words = shlex.split(line[2:].rpartition("| ")[2])
                found.append(words[words.index(".venv/bin/nerstream") + 1 :])
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_understood(words: list[str]) -> None:
    command, *arguments = words
    assert command in cli.COMMANDS
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"consumer.commands.{command}").add_arguments(parser)
    parser.parse_args(arguments)


def test_the_commands_are_found() -> None:
    assert {words[0] for words in commands()} >= {"run", "produce", "tag"}


def test_the_example_messages_are_what_the_worker_takes_and_gives() -> None:
    taken, given = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    raw = RawMessage(Position(TopicPartition("t", 0), 0), None, taken.encode(), (), None, 1)
    assert Codec(("title", "body")).decode(raw)
    document = json.loads(given)
    for entity in document["entities"]:
        assert document[entity["field"]][entity["start"] : entity["end"]] == entity["text"]
    original = json.loads(taken)
    assert {name: document[name] for name in original} == original
    assert set(document) - set(original) == {"entities", "tagging"}


def test_the_reject_codes_are_those_of_the_code() -> None:
    table = README.split("The codes:", 1)[1].split("A null value", 1)[0]
    assert set(re.findall(r"`([a-z_0-9]+)`", table)) == {code.value for code in RejectCode}


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    table = README.split("The ones to know:", 1)[1].split("## Scale", 1)[0]
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]*) \|", table, re.MULTILINE)
    assert len(rows) >= 8
    for names, _ in rows:
        for name in re.findall(r"`([a-z_]+)", names):
            assert name in Settings.model_fields, name
    defaults = Settings()
    for name in ("batch_tokens", "batch_wait_ms", "commit_interval_ms", "shutdown_timeout_s"):
        assert re.search(rf"`{name}` \| {getattr(defaults, name):g} \|", table), name
    in_flight = f"{defaults.in_flight_articles}, {defaults.in_flight_bytes // 2**20} MiB"
    assert f"| {in_flight} |" in table
    assert f"`dead_letter_window_messages` ({defaults.dead_letter_window_messages})" in README
    assert "`dead_letter_max_ratio` (half)" in README
    assert defaults.dead_letter_max_ratio == 0.5


def test_metrics_are_those_of_the_code() -> None:
    known = {declaration.name for declaration in declarations.ALL}
    named = set(re.findall(r"nerstream_[a-z_]+", README))
    assert named
    assert named <= known


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page}: {link}"
