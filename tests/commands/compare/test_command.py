"""`nerstream compare` from its arguments to what it prints and writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import cli, loading
from consumer.commands.compare import command as compare
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import PreparedArticle, TaggingResult
from consumer.evaluation import comparison
from consumer.settings.schema import Settings
from consumer.tagging import select
from consumer.tagging.model.faithful_dtypes import read_faithful_dtypes
from consumer.tagging.model.processor import Processor
from consumer.tagging.tagger import Tagger
from tests.support.models.tiny_models import (
    SENTENCES,
    entities_of,
    save_tiny_model,
    tiny_folder,
    tiny_tagger,
)

TEXT = " ".join(SENTENCES[:4])


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", str(tiny_folder()))
    monkeypatch.setenv("NERSTREAM_DEVICE", "cpu")
    # Of no meaning here, where the reference is float32 and the others are named.
    monkeypatch.setenv("NERSTREAM_DTYPE", "float16")
    monkeypatch.setenv("NERSTREAM_THREADS", "1")


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "ENOUGH_ENTITIES", 10)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 the tagger does not see the first entity of an article."""

    def tagger_from(settings: Settings) -> Any:
        tagger = loading.tagger_from(settings)
        return Forgetful(tagger) if settings.dtype == "bfloat16" else tagger

    monkeypatch.setattr(compare, "tagger_from", tagger_from)


class Forgetful:
    """A tagger that misses entities."""

    def __init__(self, tagger: Tagger) -> None:
        self.info, self.encode = tagger.info, tagger.encode
        self._tagger = tagger

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        result = self._tagger.tag(articles, progress)
        answers = [one if isinstance(one, RejectedMessage) else one[1:] for one in result.answers]
        return replace(result, answers=tuple(answers))


def written(path: Path, *lines: str | bytes) -> str:
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    )
    return str(path)


def found(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert cli.main(["compare", *arguments, "--json"]) == code
    (line,) = capfd.readouterr().out.splitlines()
    document: dict[str, Any] = json.loads(line)
    return document


def failed(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["compare", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_entities_of_both_precisions_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", *SENTENCES)
    document = found(capfd, file, "--dtypes", "bfloat16", "--differences", "1000")
    exact = [set(map(_place, entities_of(tiny_tagger(), text))) for text in SENTENCES]
    rounded = [
        set(map(_place, entities_of(tiny_tagger(dtype="bfloat16"), text))) for text in SENTENCES
    ]
    shared = sum(len(one & other) for one, other in zip(exact, rounded, strict=True))
    (bfloat16,) = document["precisions"]
    assert document["articles"] == len(SENTENCES)
    assert document["entities"] == sum(map(len, exact)) > 20
    assert bfloat16["entities"] == sum(map(len, rounded))
    assert bfloat16["shared"] == shared
    assert bfloat16["kept"] == shared / document["entities"]
    missed = [one for one in bfloat16["differences"] if one["float32"] is not None]
    assert len(missed) == document["entities"] - shared
    assert document["reference"]["dtype"] == "float32"
    assert document["reference"]["tokens_per_s"] > 0
    assert bfloat16["tokens_per_s"] > 0
    # Some forty entities say nothing of a share of 99.5 %.
    assert bfloat16["is_faithful"] is None


def _place(entity: Any) -> tuple[str, int, int]:
    return entity.type, entity.start, entity.end


def test_json_lines_and_what_is_no_article_among_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path / "a.jsonl",
        orjson.dumps({"id": "one", "title": "Lisbon", "body": TEXT}),
        b'{"id": "two"',
        b"",
        orjson.dumps({"id": "three", "body": TEXT}),
    )
    assert cli.main(["compare", file, "--dtypes", "bfloat16", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["articles"] == 2
    assert "left out: line 2: invalid_json: " in err


def test_a_conll_file_is_taken_article_by_article(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [f"{word} O" for word in SENTENCES[0].split()]
    marked = ["-DOCSTART- O", "", *words, ""]
    document = found(capfd, written(tmp_path / "a.conll", *marked, *marked), "--dtypes", "bfloat16")
    assert document["articles"] == 2
    assert document["entities"] == 2 * len(entities_of(tiny_tagger(), SENTENCES[0]))


@pytest.mark.usefixtures("few_are_enough", "forgetful")
def test_a_reader_sees_what_is_kept_and_where_it_differs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", *SENTENCES)
    document = found(capfd, file, "--dtypes", "float16,bfloat16", "--differences", "1000")
    assert cli.main(["compare", file, "--dtypes", "float16,bfloat16", "--differences", "1"]) == 0
    out = capfd.readouterr().out
    assert f"float32 finds {document['entities']} entities" in out
    for precision in document["precisions"]:
        (row,) = [line for line in out.splitlines() if line.startswith(f"{precision['dtype']}  ")]
        name, kept, confirmed, _, verdict = row.split()
        assert (name, kept) == (precision["dtype"], f"{precision['kept']:.2%}")
        assert confirmed == f"{precision['confirmed']:.2%}"
        assert verdict == ("yes" if precision["is_faithful"] else "no")
    float16, bfloat16 = document["precisions"]
    assert (float16["is_faithful"], bfloat16["is_faithful"]) == (True, False)
    assert bfloat16["confirmed"] == 1.0
    first = bfloat16["differences"][0]["float32"]
    assert f"bfloat16 beside float32, 1 of {len(SENTENCES)}:" in out
    assert f"  1: {first['text']} ({first['type']}) -> nothing" in out
    assert "faithful: at least 99.5% of both" in out


def test_too_few_entities_are_said_to_be(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", written(tmp_path / "a.txt", TEXT), "--dtypes", "bfloat16"]) == 0
    out = capfd.readouterr().out
    assert "too few entities to say what is faithful" in out
    (row,) = [line for line in out.splitlines() if line.startswith("bfloat16 ")]
    assert row.split()[-1] == "?"


@pytest.mark.usefixtures("few_are_enough", "forgetful")
def test_the_result_is_written_for_auto(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save_tiny_model(tmp_path / "ner")
    says = folder / "nerstream.json"
    says.write_text('{"faithful_dtypes": ["bfloat16", "int8"], "measured": "last year"}')
    file = written(tmp_path / "a.txt", *SENTENCES)
    document = found(capfd, file, "--dtypes", "bfloat16,float16", "--model", str(folder), "--write")
    assert document["written"] == str(says)
    assert [one["is_faithful"] for one in document["precisions"]] == [False, True]
    # What was not measured stays as it was, and so does what else the file says.
    assert read_faithful_dtypes("ner", folder) == {"float16", "int8"}
    assert json.loads(says.read_text())["measured"] == "last year"
    assert [path.name for path in folder.glob(".*")] == []


def test_of_too_few_entities_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny_model(tmp_path / "ner")
    file = written(tmp_path / "a.txt", TEXT)
    document = found(capfd, file, "--dtypes", "bfloat16", "--model", str(folder), "--write", code=1)
    assert document["written"] is None
    assert not (folder / "nerstream.json").exists()


def test_a_model_that_is_not_a_folder_is_not_written_to(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", TEXT)
    for model in ("bundled", "dslim/bert-base-NER"):
        said = failed(capfd, file, "--model", model, "--write")
        assert f"--write: {model} is not a folder of your own to write into; copy the m" in said


def test_a_wrong_nerstream_json_is_told_before_the_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny_model(tmp_path / "ner")
    (folder / "nerstream.json").write_text("[]")
    file = written(tmp_path / "a.txt", TEXT)
    arguments = ["compare", file, "--model", str(folder), "--dtypes", "bfloat16", "--write"]
    assert cli.main(arguments) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert 'must hold an object whose "faithful_dtypes" is a list' in err


def test_a_processor_that_has_only_float32_is_told_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "this_processor", lambda: Processor(False, False, False))
    said = failed(capfd, written(tmp_path / "a.txt", TEXT))
    assert "computes in float32 here; run it where the worker will run, or name" in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--dtypes", "int4"), "--dtypes: 'int4' is not one of them; name some of bfloat16, "),
        (("--dtypes", "float32"), "--dtypes: 'float32' is not one of them"),
        (("--dtypes", "bfloat16,bfloat16"), "--dtypes: bfloat16 twice"),
        (("--dtypes", ""), "--dtypes: it is empty"),
        (("--differences", "-1"), "--differences: -1 is below 0; give 0 or more"),
    ],
)
def test_a_wrong_argument_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], problem: str
) -> None:
    assert problem in failed(capfd, written(tmp_path / "a.txt", TEXT), *arguments)


def test_a_file_without_articles_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "FILE: there is no article in" in failed(capfd, written(tmp_path / "a.txt", "", " "))
    assert "FILE: " in failed(capfd, str(tmp_path / "absent.txt"))
