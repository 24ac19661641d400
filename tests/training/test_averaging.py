"""`nerstream average`: the mean of fine-tuned checkpoints, and its card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from consumer.cli import main
from tests.support.models.tiny_models import save_tiny_model

CORPUS = "-DOCSTART- O\n\nMaria B-PER\nLund I-PER\nleft O\nOslo B-LOC\n. O\n"

Average = Callable[..., int]


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for seed, folder in enumerate(folders):
        save_tiny_model(folder, seed=seed)
    return folders


@pytest.fixture
def average(tmp_path: Path) -> Average:
    (tmp_path / "dev.txt").write_text(CORPUS, encoding="utf-8")

    def command(*arguments: str | Path) -> int:
        given = [
            *("average", *map(str, arguments)),
            *("--dev", str(tmp_path / "dev.txt"), "--output", str(tmp_path / "mean")),
            *("--max-length", "32"),
        ]
        return main(given)

    return command


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_weights_are_the_mean(models: list[Path], average: Average, tmp_path: Path) -> None:
    assert average(*models) == 0
    parts = [weights(model) for model in models]
    for name, value in weights(tmp_path / "mean").items():
        expected = torch.stack([part[name].double() for part in parts]).mean(0)
        torch.testing.assert_close(value.double(), expected, rtol=1e-3, atol=1e-6)
        assert value.dtype == torch.float16


def test_the_folder_is_a_model_and_its_scores_are_printed(
    models: list[Path], average: Average, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert average(*models, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["output"] == str(tmp_path / "mean")
    assert json.loads(printed.out)["overall"]["gold"] == 2
    assert printed.err.splitlines()[:2] == [
        "averaging 3 models",
        "scoring the mean on 1 articles",
    ]
    assert AutoTokenizer.from_pretrained(tmp_path / "mean").model_max_length == 32
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "mean")
    assert model.config.id2label[1] == "B-PER"


def test_the_card_says_how_each_part_was_made(
    models: list[Path], average: Average, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("Licence of the data: none.\n", encoding="utf-8")
    (models[0] / "README.md").write_text(
        "# a\n\n## How it was made\n\n```\nnerstream train --seed 7\n```\n\n## Limits\n\nMany.\n",
        encoding="utf-8",
    )
    assert average(*models[:2], "--card-notes", notes) == 0
    card = (tmp_path / "mean" / "README.md").read_text(encoding="utf-8")
    assert "### a\n\n```\nnerstream train --seed 7\n```\n" in card
    assert "Many." not in card
    assert "### b\n\nIts card does not say.\n" in card
    assert "Licence of the data: none." in card
    assert "nerstream average a b \\\n    --dev dev.txt \\\n    --output mean" in card
    assert "| dev | 1 | 1 | 5 | 1 LOC, 1 PER |" in card
    assert str(tmp_path) not in card


def test_one_model_has_no_mean(
    models: list[Path], average: Average, capsys: pytest.CaptureFixture[str]
) -> None:
    assert average(models[0]) == 2
    assert "MODEL: one model has no mean with others; name two or more" in capsys.readouterr().err


def test_no_part_is_written_over(
    models: list[Path], average: Average, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models[0], tmp_path / "mean")
    before = weights(tmp_path / "mean")
    assert average(tmp_path / "mean", models[1]) == 2
    assert "mean is one of the models; name another folder" in capsys.readouterr().err
    after = weights(tmp_path / "mean")
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--max-length", "7"), 2, "--max-length: 7 is out of range; give 8 or more"),
        (("--max-length", "65"), 1, "it takes 64 sub-words at most, fewer than --max-length 65"),
        (("--dev", "/none.txt"), 2, "--dev: /none.txt cannot be read (No such file or directory)"),
        (("--card-notes", "/none.md"), 2, "--card-notes: cannot read /none.md"),
    ],
)
def test_wrong_arguments(
    models: list[Path],
    tmp_path: Path,
    options: tuple[str, str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "dev.txt").write_text(CORPUS, encoding="utf-8")
    given = {
        "--dev": str(tmp_path / "dev.txt"),
        "--output": str(tmp_path / "mean"),
        "--max-length": "32",
        **dict([options]),
    }
    pairs = [part for pair in given.items() for part in pair]
    assert main(["average", *map(str, models), *pairs]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_a_model_of_another_kind_is_refused(
    models: list[Path], average: Average, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = models[1] / "config.json"
    config = json.loads(labels.read_text(encoding="utf-8"))
    config["id2label"]["1"] = "B-CAT"
    labels.write_text(json.dumps(config), encoding="utf-8")
    assert average(*models) == 1
    said = capsys.readouterr().err
    assert f"cannot average {models[1]}: its labels are O, B-CAT" in said

    vocabulary = models[2] / "tokenizer.json"
    document = json.loads(vocabulary.read_text(encoding="utf-8"))
    pieces = document["model"]["vocab"]
    pieces["other"] = pieces.pop(next(piece for piece in pieces if piece.isalpha()))
    vocabulary.write_text(json.dumps(document), encoding="utf-8")
    assert average(models[0], models[2]) == 1
    assert f"cannot average {models[2]}: its sub-words are not those of" in capsys.readouterr().err

    assert average(models[0], tmp_path / "none") == 1
    assert f"cannot average {tmp_path / 'none'}: " in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_weights_of_other_shapes_are_refused(
    models: list[Path], average: Average, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file = models[1] / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["intermediate_size"] *= 2
    config_file.write_text(json.dumps(config), encoding="utf-8")
    model = AutoModelForTokenClassification.from_config(
        type(AutoModelForTokenClassification.from_pretrained(models[0]).config)(**config)
    )
    save_file(
        {name: value.clone() for name, value in model.state_dict().items()},
        models[1] / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert average(*models) == 1
    assert "its weights have other names or shapes than those of the first" in (
        capsys.readouterr().err
    )
