from __future__ import annotations

import pytest

from consumer import cli
from consumer.argument_parser import ArgumentParser
from tests.support.planted import PLANT, harm_in


@pytest.mark.parametrize(
    "arguments",
    [
        [PLANT],
        ["tag", f"--{PLANT}"],
        ["tag", "--input-format", PLANT],
        ["bench", PLANT],
        ["bench", "worker", f"--{PLANT}"],
        ["bench", "worker", "--rounds", PLANT],
        ["dead-letters", PLANT],
        ["dead-letters", "list", f"--{PLANT}"],
        ["produce", "-", "--topic", "a", "--rate", PLANT],
        ["audit", "--from", PLANT],
        ["audit", "--max-findings", PLANT],
    ],
    ids=lambda arguments: " ".join(arguments).replace(PLANT, "PLANT"),
)
def test_a_wrong_argument_is_told_in_a_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert harm_in(out + err) == []
    assert "FORGED" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["dead-letters", "replay", "--text", ""],
        ["dead-letters", "list", "--text="],
        ["dead-letters", "replay", "--also-sent-to", ""],
        ["dead-letters", "replay", "--to", " "],
        ["find", "--id", ""],
        ["audit", "--from", ""],
        ["run", "--config", ""],
        ["average", "a", "b", "--dev", "d", "--output", ""],
        ["train", "--train", "t", "", "--dev", "d"],
    ],
    ids=" ".join,
)
def test_a_flag_that_is_left_empty_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "it is empty; give a value, or leave it out" in capsys.readouterr().err


def test_what_holds_without_a_flag_may_be_empty_itself() -> None:
    parser = ArgumentParser()
    parser.add_argument("--text", default="")
    parser.add_argument("--key-field", default="id")
    assert parser.parse_args([]).text == ""
    assert parser.parse_args(["--key-field", ""]).key_field == ""
