"""`nerstream bench model`: what it takes, and the document that it gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.bench.model.contest import Contestant
from consumer.bench.model.field import Field
from consumer.bench.model.report import machine, model_document
from tests.support.models.tiny_models import SENTENCES, tiny_folder


def bench(*arguments: str) -> int:
    return cli.main(["bench", "model", "--no-peers", "--rounds", "1", *arguments])


@pytest.fixture
def conll(tmp_path: Path) -> Path:
    lines = ["-DOCSTART- O", ""]
    for sentence in SENTENCES[:3]:
        lines += [f"{word} {'B-PER' if word.istitle() else 'O'}" for word in sentence.split()]
        lines.append("")
    path = tmp_path / "gold.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_document_names_machine_versions_engines_and_ceiling(
    capsys: pytest.CaptureFixture[str], conll: Path
) -> None:
    assert bench("--model", str(tiny_folder()), "--articles", str(conll), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"] == machine()
    assert {"python", "nerstream", "torch", "transformers"} <= set(found["versions"])
    assert found["articles"]["number"] == 1
    (model,) = found["models"]
    assert model["tokens"] > 30
    engines = {engine["precision"]: engine for engine in model["engines"]}
    assert engines["float32"]["agreement"] == 1.0
    assert 0.0 <= engines["float32"]["f1"] <= 1.0
    assert set(model["ceiling"]) == set(model["share_of_ceiling"]) == set(engines)
    assert model["ratio_to_best_peer"] == {"faithful": None, "fast": None}
    assert model["auto"] in engines


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--model", str(tiny_folder(max_length=512)), "--number", "2") == 0
    out = capsys.readouterr().out
    assert "nerstream float32" in out
    assert "ceiling float32" in out
    assert "2 articles" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--number", "0"], "--number: is too small; it must be at least 1"),
        (["--articles", "/nowhere"], "--articles: [Errno 2] No such file"),
        (["--plot", "x.pdf"], "--plot: x.pdf is no picture; name a file.svg or a file.png"),
        (["--threads", "x"], '--threads: "x" will not do; it must be a whole number'),
        (["--clock", "processor"], "--clock: processor counts threads that wait as well; give"),
    ],
)
def test_wrong_arguments_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert bench(*arguments) == 2
    assert f"nerstream: error: {said}" in capsys.readouterr().err


def test_articles_that_are_none_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_text('{"id": "1", "body": "Lisbon"}\n{"id": ""}\n')
    assert bench("--articles", str(path)) == 2
    assert "--articles: article 2: " in capsys.readouterr().err


def contestant(name: str, precision: str, seconds: float, agreement: float | None) -> Contestant:
    made = Contestant(name, precision, name == "nerstream", lambda: seconds)
    made.rounds_s = [seconds * 2, seconds, seconds]
    made.agreement = agreement
    return made


def document(has_random_weights: bool, *contestants: Contestant) -> dict[str, Any]:
    field = Field(list(contestants), {}, {"B": "not installed"}, "bfloat16", 1_000)
    return model_document(
        "name", field, {"bfloat16": [2_000.0, 1_000.0, 500.0]}, has_random_weights
    )


def test_ratios_are_taken_among_the_faithful_and_among_all() -> None:
    found = document(
        False,
        contestant("nerstream", "bfloat16", 1.0, 0.998),
        contestant("nerstream", "int8", 0.5, 0.99),
        contestant("A", "float32", 2.0, 1.0),
        contestant("A", "bfloat16", 1.5, 0.994),
        contestant("A", "int8", 0.4, 0.97),
    )
    assert found["ratio_to_best_peer"]["faithful"] == {
        "ours": "nerstream bfloat16",
        "peer": "A float32",
        "ratio": 2.0,
    }
    assert found["ratio_to_best_peer"]["fast"]["ratio"] == pytest.approx(0.8)
    assert found["share_of_ceiling"] == {"bfloat16": 1.0}
    assert found["engines"][0]["tokens_per_s"] == 1_000.0
    assert found["left_out"] == {"B": "not installed"}


def test_with_random_weights_precisions_are_faithful_by_what_they_are() -> None:
    found = document(
        True,
        contestant("nerstream", "bfloat16", 1.0, None),
        contestant("nerstream", "int8", 0.5, None),
        contestant("A", "bfloat16", 1.5, None),
        contestant("A", "int8", 0.1, None),
    )
    assert found["ratio_to_best_peer"]["faithful"]["ratio"] == pytest.approx(1.5)


def test_the_machine_is_told_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "model name\t: AMD EPYC\nflags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert machine() == "2 cores of AMD EPYC with AVX-512, bf16, VNNI"


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from consumer.bench.model.plot import plot

    models = [document(False, contestant("nerstream", "bfloat16", 1.0, 0.998))]
    for name in ("a.svg", "a.png"):
        plot({"machine": "a machine", "models": models}, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000
