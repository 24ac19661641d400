"""Regular expressions tried in a process of their own."""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from consumer.contracts.errors import ModelError
from consumer.tagging.model.folder import BUNDLED_FOLDER
from consumer.tagging.model.guard import trial
from consumer.tagging.model.guard.trial import try_expressions
from consumer.tagging.model.tokenizer_files import TOKENIZER, tokenizer_options


def saved(folder: Path, expression: str) -> Path:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(expression), "isolated")
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.mark.parametrize(
    "expression",
    [
        # Of GPT-2, and of Llama 3 and its kin.
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
)
def test_expressions_in_use_pass(expression: str, tmp_path: Path) -> None:
    try_expressions("M", saved(tmp_path, expression))


@pytest.mark.parametrize("expression", ["(a+)+b", "(x+x+)+y", r"(\w+\s?)*$", "(q|q)*z"])
def test_a_bomb_is_refused(expression: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        try_expressions("M", saved(tmp_path, expression))
    told = str(raised.value)
    assert told.startswith("model M: its tokenizer.json ")
    assert "is not fit for texts of strangers" in told
    assert "\n" not in told


def test_what_takes_too_long_is_named_with_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(100_000))
    monkeypatch.setattr(time, "process_time", lambda: float(next(seconds)))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    trial.main(str(saved(tmp_path, "(a)")))
    assert capsys.readouterr().out.splitlines()[-1] == '{"seconds": 1.0, "text": "a"}'


@pytest.mark.parametrize(
    ("expression", "step", "says"),
    [
        (
            "(a)",
            "New",
            "cannot read pre_tokenizer in its tokenizer.json, which names New (data did not match",
        ),
        (
            "(a",
            "Whitespace",
            "its tokenizer.json has a regular expression under pre_tokenizer that is none (Onigur",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_not_told_to_break_on_a_text(
    tmp_path: Path, expression: str, step: str, says: str
) -> None:
    file = saved(tmp_path, "(a)")
    document = json.loads(file.read_text())
    split = document["pre_tokenizer"] | {"pattern": {"Regex": expression}}
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, {"type": step}]}
    file.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=re.escape(says)) as raised:
        try_expressions("M", file)
    assert str(raised.value).startswith("model M: ")
    assert "strangers" not in str(raised.value)


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process that tries is killed; no tokenizer has passed yet."""
    killing = tmp_path / "python"
    killing.write_text("#!/bin/sh\necho '\"zz\"'\nkill -KILL $$\n")
    killing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killing))
    monkeypatch.setattr(trial, "_passed", set())


@pytest.mark.usefixtures("killed")
def test_a_process_that_is_killed_is_a_refusal(tmp_path: Path) -> None:
    file = saved(tmp_path, "(a)")
    for _ in range(2):
        with pytest.raises(ModelError, match=r'used up 60 s of a processor on "zz" repeated'):
            try_expressions("M", file)


def test_what_has_passed_is_not_tried_again_and_anything_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    file = saved(tmp_path, "(b)")
    try_expressions("M", file)
    passed = trial._passed
    request.getfixturevalue("killed")
    monkeypatch.setattr(trial, "_passed", passed)
    try_expressions("M", file)
    saved(tmp_path, "(c)")
    with pytest.raises(ModelError, match="used up"):
        try_expressions("M", file)


def test_the_tokenizer_that_ships_with_us_passes_and_no_start_tries_it(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ours = BUNDLED_FOLDER / TOKENIZER
    monkeypatch.setattr(trial, "_passed", set())
    try_expressions("bundled", ours)
    request.getfixturevalue("killed")
    config = {"model_type": "bert"}
    tokenizer_options("bundled", BUNDLED_FOLDER, config, {})
    # One of another content is tried, and by another name is ours all the same.
    (tmp_path / TOKENIZER).write_bytes(ours.read_bytes())
    tokenizer_options("M", tmp_path, config, {})
    (tmp_path / TOKENIZER).write_bytes(ours.read_bytes() + b"\n")
    with pytest.raises(ModelError, match="used up"):
        tokenizer_options("M", tmp_path, config, {})
