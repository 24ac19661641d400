"""The examples of docs/reference/messages.md, run as they stand where node and java are there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.loading import codec_from
from consumer.settings.schema import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "messages.md").read_text(
    encoding="utf-8"
)


YOUR_TOPIC = (Path(__file__).parents[2] / "docs/guides/your-topic.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(found, str)
    return found


ARTICLE: dict[str, Any] = json.loads(block("json"))
EXPECTED = [f"{entity['type']} {entity['text']}" for entity in ARTICLE["entities"]]


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00"])
def test_half_a_surrogate_pair_is_rejected_as_the_pages_say(half: str) -> None:
    for page in (PAGE, YOUR_TOPIC):
        (sentence,) = re.findall(r"[Hh]alf a surrogate pair[^.|]*", page)
        assert "\\ud83d" in sentence
    for value in (
        f'{{"id": "1", "body": "a {half} b"}}',
        f'{{"id": "1", "body": "a", "x": "{half}"}}',
    ):
        raw = RawMessage(Position(TopicPartition("a", 0), 0), None, value.encode(), (), None, 0)
        with pytest.raises(RejectedMessage) as rejected:
            codec_from(Settings()).decode(raw)
        assert rejected.value.code == "invalid_json"


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not on this machine")
    return path


def lines_of(command: list[str]) -> list[str]:
    answer = subprocess.run(command, capture_output=True, check=True, timeout=120)
    return answer.stdout.decode().splitlines()


def test_the_example_is_right_and_would_be_wrong_in_utf_16_units() -> None:
    body = ARTICLE["body"]
    units = body.encode("utf-16-le")
    for entity in ARTICLE["entities"]:
        start, end = entity["start"], entity["end"]
        assert body[start:end] == entity["text"]
        assert units[2 * start : 2 * end].decode("utf-16-le") != entity["text"]
    assert units[4:20].decode("utf-16-le") == re.findall(r"would give `(.*?)`", PAGE)[0]


def test_the_javascript_of_the_page_runs(tmp_path: Path) -> None:
    node = needs("node")
    script = tmp_path / "example.js"
    script.write_text(f"const article = {json.dumps(ARTICLE)};\n{block('js')}", encoding="utf-8")
    assert lines_of([node, str(script)]) == EXPECTED


def test_the_short_javascript_of_the_page_runs(tmp_path: Path) -> None:
    node = needs("node")
    (short,) = re.findall(r"`(\[\.\.\.body\][^`]*)`", PAGE)
    script = tmp_path / "example.js"
    script.write_text(
        f"const article = {json.dumps(ARTICLE)};\n"
        "const body = article.body;\n"
        "for (const { type, start, end } of article.entities)\n"
        f"  console.log(type, {short});\n",
        encoding="utf-8",
    )
    assert lines_of([node, str(script)]) == EXPECTED


def test_the_java_of_the_page_runs(tmp_path: Path) -> None:
    java = needs("java")
    calls = "\n".join(
        f"out.println({json.dumps(e['type'] + ' ')} + surface({json.dumps(ARTICLE['body'])}, "
        f"{e['start']}, {e['end']}));"
        for e in ARTICLE["entities"]
    )
    program = tmp_path / "Example.java"
    program.write_text(
        f"public class Example {{\n{block('java')}\n"
        "public static void main(String[] arguments) throws Exception {\n"
        'var out = new java.io.PrintStream(System.out, true, "UTF-8");\n'
        f"{calls}\n}}}}\n",
        encoding="utf-8",
    )
    assert lines_of([java, str(program)]) == EXPECTED


@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a😀é\U00020000")))
def test_the_rule_of_the_page_holds_for_any_text(text: str) -> None:
    """Units before an offset: one a code point, and one more for each from U+10000 on."""
    for offset in range(len(text) + 1):
        units = len(text[:offset].encode("utf-16-le")) // 2
        assert units == offset + sum(ord(character) > 0xFFFF for character in text[:offset])
