"""Each command of the guide "Your messages" does what the page shows."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from consumer import cli
from consumer.codec.fields.places import resolve
from consumer.tagging.tagger import load_tagger

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "your-messages.md").read_text(encoding="utf-8")


#: A tagger for the same settings is loaded once: how one is loaded is not what the page is about.
loaded_once = cache(load_tagger)


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.tagging.tagger.load_tagger", loaded_once)


def blocks() -> list[tuple[str, str]]:
    """Each command of the page, and what is shown under it."""
    found = []
    for block in re.findall(r"```console\n\$ (.*?)```", PAGE, re.DOTALL):
        command, _, output = block.replace("\\\n", " ").partition("\n")
        found.append((command, output))
    return found


def run(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    program, *words = shlex.split(command)
    assert program == ".venv/bin/nerstream"
    cli.main(words)
    return capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), blocks(), ids=[one for one, _ in blocks()])
def test_a_command_prints_what_the_page_shows(
    command: str, output: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    printed = run(command, capfd)
    if output:
        pattern = ".*".join(map(re.escape, output.split("...\n")))
        assert re.fullmatch(pattern, printed, re.DOTALL), printed
        return
    for line in printed.splitlines():
        document = json.loads(line)
        entities = document["data"]["nerstream"]["entities"]
        assert entities
        for entity in entities:
            text = resolve(document, entity["field"])
            assert text[entity["start"] : entity["end"]] == entity["text"]


@pytest.mark.slow
def test_the_entity_of_the_page_is_found(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown = json.loads(shown)
    printed = run(blocks()[0][0].replace("--explain ", ""), capfd)
    found = json.loads(printed.splitlines()[1])["entities"]
    assert {**shown, "score": 0} in [{**entity, "score": 0} for entity in found]


def test_the_commands_are_found() -> None:
    assert len(blocks()) == 5
    assert sum(bool(output) for _, output in blocks()) == 4
