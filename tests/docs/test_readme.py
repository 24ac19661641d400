"""What the README and the guides say, held against the code."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.codec.article_codec import Codec
from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.settings.schema import Settings
from consumer.telemetry import declarations

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(GUIDES.glob("*.md"))}
README = (ROOT / "README.md").read_text(encoding="utf-8")


#: A metric's name, without the end of a histogram's series.
METRIC = re.compile(r"nerstream_[a-z_]+")


def commands(text: str) -> list[list[str]]:
    """The words of each nerstream command in a console block, pipes cut off."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ ") and "nerstream " in line:
                words = shlex.split(line[2:].rpartition("| ")[2])
                found.append(words[words.index(".venv/bin/nerstream") + 1 :])
    return found


@pytest.mark.parametrize(
    "words", [words for text in (README, *PAGES.values()) for words in commands(text)], ids=" ".join
)
def test_every_command_is_understood(words: list[str]) -> None:
    command, *arguments = words
    assert command in cli.COMMANDS
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"consumer.commands.{command.replace('-', '_')}").add_arguments(parser)
    parser.parse_args(arguments)


def test_the_commands_are_found() -> None:
    assert {words[0] for words in commands(README)} >= {"run", "produce", "tag"}
    everywhere = {words[0] for text in PAGES.values() for words in commands(text)}
    assert everywhere >= {"run", "produce", "tag", "evaluate", "compare"}


@pytest.mark.parametrize("name", PAGES)
def test_a_guide_stands_on_two_screens(name: str) -> None:
    assert PAGES[name].count("\n") <= 100


def test_the_readme_stands_on_three_screens() -> None:
    assert README.count("\n") <= 120
    for picture in ("article.svg", "demo.svg"):
        assert f"](docs/pictures/{picture})" in README


@pytest.mark.parametrize("text", [README, PAGES["your-topic"]], ids=["README", "your-topic"])
def test_the_example_messages_are_what_the_worker_takes_and_gives(text: str) -> None:
    taken, given = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    raw = RawMessage(Position(TopicPartition("t", 0), 0), None, taken.encode(), (), None, 1)
    assert Codec(("title", "body")).decode(raw)
    document = json.loads(given)
    for entity in document["entities"]:
        assert document[entity["field"]][entity["start"] : entity["end"]] == entity["text"]
    original = json.loads(taken)
    assert {name: document[name] for name in original} == original
    assert set(document) - set(original) == {"entities", "tagging"}


def test_the_reject_codes_are_those_of_the_code() -> None:
    table = PAGES["your-topic"].split("The codes:", 1)[1].split("When more than", 1)[0]
    assert set(re.findall(r"`([a-z_0-9]+)`", table)) == {code.value for code in RejectCode}


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    table = PAGES["start"].split("The ones to know;", 1)[1].split("Next:", 1)[0]
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
    topic = PAGES["your-topic"]
    assert f"`dead_letter_window_messages` ({defaults.dead_letter_window_messages})" in topic
    assert "`dead_letter_max_ratio` (half)" in topic
    assert defaults.dead_letter_max_ratio == 0.5


def test_the_commands_that_reach_kafka_are_listed() -> None:
    (listed,) = re.findall(
        r"All commands that reach Kafka take the same: (.*?)\.", PAGES["behind-a-door"]
    )
    reaching = set()
    for name in cli.COMMANDS:
        parser = argparse.ArgumentParser(exit_on_error=False)
        module = importlib.import_module(f"consumer.commands.{name.replace('-', '_')}")
        module.add_arguments(parser)
        # The demo brings its own broker; a benchmark is no work with the news of others.
        if reaches_kafka(parser) and name not in ("demo", "bench"):
            reaching.add(name)
    assert set(re.findall(r"`([a-z-]+)`", listed)) == reaching


def reaches_kafka(parser: argparse.ArgumentParser) -> bool:
    """Whether it takes brokers, or a command of its own does."""
    return any(
        "--bootstrap-servers" in action.option_strings
        or (
            isinstance(action.choices, dict)
            and any(
                reaches_kafka(one)
                for one in action.choices.values()
                if isinstance(one, argparse.ArgumentParser)
            )
        )
        for action in parser._actions
    )


def test_figures_are_those_of_recorded_runs() -> None:
    four = recorded("gpu-worker-bert-base-four-workers")["throughput"]
    assert f"[{four['tokens_per_s'] / 1e6:.1f} million tokens/s]" in README
    assert f"{four['share_of_model_only']:.0%}".replace("%", " % of the model alone") in README
    fast, plain = recorded("model-bundled"), recorded("model-bundled-plain")
    for run, precision, form in ((fast, "bfloat16", "[{} times]"), (fast, "int8", "{} in int8")):
        ours, peer = (rate(run, name, precision) for name in ("nerstream", "OpenVINO"))
        assert form.format(f"{ours / peer:.2f}") in README
    best = plain["models"][0]["ratio_to_best_peer"]["fast"]["ratio"]
    assert f"[{best:.2f}](benchmarks/results/model-bundled-plain.json)" in README


def recorded(name: str) -> Any:
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))


def rate(run: Any, engine: str, precision: str) -> float:
    (model,) = run["models"]
    (found,) = (
        one["tokens_per_s"]
        for one in model["engines"]
        if (one["name"], one["precision"]) == (engine, precision)
    )
    return float(found)


def test_metrics_are_those_of_the_code() -> None:
    known = {declaration.name for declaration in declarations.ALL}
    named = {name for text in (README, *PAGES.values()) for name in METRIC.findall(text)}
    assert len(named) >= 8
    assert named <= known


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page}: {link}"
