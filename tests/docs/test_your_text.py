"""The commands of the guide to texts do what it says of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import warm_process

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "your-text.md"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each command of the page prints, by its arguments; its files are written first."""
    folder = tmp_path_factory.mktemp("guide")
    found: dict[str, Any] = {}
    for line in re.findall(r"^\$ (.*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE):
        words = shlex.split(line)
        if words[0] == "echo":
            _, text, _, name = words
            (folder / name).write_text(text + "\n", encoding="utf-8")
        elif words[1] == "tag":
            *options, name = words[2:]
            command = [sys.executable, "-m", "consumer", "tag", *options, str(folder / name)]
            # As the other tests have it, so that they share what is forked from.
            environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
            done = warm_process.run(command, capture_output=True, env=environment)
            assert done.returncode == 0, done.stderr
            (found[" ".join(options)],) = map(json.loads, done.stdout.splitlines())
    return found


def of(answers: dict[str, Any], option: str) -> Any:
    (answer,) = (answer for options, answer in answers.items() if option in options)
    return answer


def test_html(answers: dict[str, Any]) -> None:
    answer = of(answers, "html,")
    merkel = next(one for one in answer["entities"] if one["type"] == "PER")
    assert merkel["text"] == "Angela Merkel"
    assert answer["body"][merkel["start"] : merkel["end"]] == "An<b>gela</b> Merkel"
    assert {one["text"] for one in answer["entities"]} >= {"Paris", "London"}
    assert not any("&amp;" in one["text"] for one in answer["entities"])


def test_a_message_that_says_what_its_texts_are(answers: dict[str, Any]) -> None:
    answer = of(answers, "contenttype")
    first = next(one for one in answer["entities"] if one["field"] == "/bodies/0/value")
    assert answer["bodies"][0]["value"][first["start"] : first["end"]] == "Ann Lee"
    assert any(one["field"] == "/bodies/1/value" for one in answer["entities"])


def test_another_language_passes(answers: dict[str, Any]) -> None:
    answer = of(answers, "--languages")
    assert answer["entities"] == []
    assert (answer["tagging"]["skipped"], answer["tagging"]["language"]) == ("language", "de")


def test_types_and_scores(answers: dict[str, Any]) -> None:
    answer = of(answers, "--types")
    assert {one["type"] for one in answer["entities"]} == {"person", "ORG"}
    assert all(one["score"] >= 0.8 for one in answer["entities"])


def test_names(answers: dict[str, Any]) -> None:
    answer = of(answers, "--group-mentions")
    names = {name["text"]: name for name in answer["names"]}
    assert names["Angela Merkel"]["count"] == 2
    assert names["European Central Bank"]["count"] == 3
    for name in names.values():
        assert name["count"] == len(name["mentions"])
        assert {answer["entities"][at]["type"] for at in name["mentions"]} == {name["type"]}
