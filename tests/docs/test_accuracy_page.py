"""The commands of the accuracy page are understood, and its examples are what the model says."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from consumer.commands.evaluate import command as evaluate
from consumer.tagging.tagger import Tagger, load_tagger
from tests.support.models.tiny_models import entities_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "accuracy.md").read_text(
    encoding="utf-8"
)
EXAMPLES = re.findall(
    r"^\| (.+?) \| (.+?) \| .+? \|$",
    PAGE.split("| text | it finds |", 1)[1].split("\n## ", 1)[0],
    re.MULTILINE,
)[1:]


@pytest.fixture(scope="module")
def bundled() -> Tagger:
    return load_tagger(
        model="bundled",
        revision="",
        device="cpu",
        dtype="float32",
        threads=1,
        aggregation="word",
        window_overlap_tokens=64,
        batch_tokens=1_024,
    )


def test_the_commands_are_understood() -> None:
    commands = re.findall(r"^\$ nerstream evaluate (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    parser = argparse.ArgumentParser(exit_on_error=False)
    evaluate.add_arguments(parser)
    for command in commands:
        parser.parse_args(shlex.split(command))


@pytest.mark.parametrize(("text", "finds"), [e for e in EXAMPLES if "..." not in "".join(e)])
def test_the_examples_are_what_the_bundled_model_says(
    bundled: Tagger, text: str, finds: str
) -> None:
    found = [(entity.text, entity.type) for entity in entities_of(bundled, text)]
    named = [item.rpartition(" (") for item in finds.split(", ")]
    expected = [(name or kind, kind.rstrip(")") if name else None) for name, _, kind in named]
    assert [surface for surface, _ in found] == [surface for surface, _ in expected]
    for (_, kind), (_, wanted) in zip(found, expected, strict=True):
        assert wanted in (kind, None)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 9
