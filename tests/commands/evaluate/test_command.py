"""`nerstream evaluate` from its arguments to what it prints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from consumer import cli
from consumer.commands.evaluate.display import progress_of
from consumer.evaluation.articles import evaluate_tagger
from consumer.evaluation.conll import LabelledArticle, Sentence
from tests.support.models.tiny_models import (
    LABELS,
    SENTENCES,
    save_tiny_model,
    tiny_folder,
    tiny_tagger,
)

CORPUS = Path(__file__).parents[4] / "shared" / "conll2003"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", str(tiny_folder()))
    monkeypatch.setenv("NERSTREAM_DEVICE", "cpu")
    monkeypatch.setenv("NERSTREAM_DTYPE", "float32")
    monkeypatch.setenv("NERSTREAM_THREADS", "1")


def sentences() -> list[list[tuple[str, ...]]]:
    """Three articles of three sentences of words."""
    words = [tuple(text.split()) for text in SENTENCES]
    return [words[:3], words[3:6], words[6:]]


def as_tagged(level: str = "article") -> list[LabelledArticle]:
    """Articles with just the labels that the tiny model gives them."""
    blank = [
        LabelledArticle(tuple(Sentence(words, ("O",) * len(words)) for words in article))
        for article in sentences()
    ]
    parts = blank
    if level == "sentence":
        parts = [LabelledArticle((item,)) for article in blank for item in article.sentences]
    predicted = iter(evaluate_tagger(tiny_tagger(), parts, lambda _: None).predicted)
    return [
        LabelledArticle(tuple(Sentence(item.words, next(predicted)) for item in article.sentences))
        for article in blank
    ]


def iob1(labels: Sequence[str]) -> list[str]:
    """B- only where the entity before has the same type."""
    before = ["O", *labels]
    return [
        f"I{label[1:]}" if label[0] == "B" and label[2:] != before[place][2:] else label
        for place, label in enumerate(labels)
    ]


def iobes(labels: Sequence[str]) -> list[str]:
    """The last word of each entity is E-, or S- where it is the only one."""
    last = {"B": "S", "I": "E"}
    return [
        f"{last[label[0]]}{label[1:]}" if label != "O" and after[0] != "I" else label
        for label, after in zip(labels, [*labels[1:], "O"], strict=True)
    ]


def written(
    path: Path,
    articles: Sequence[LabelledArticle],
    *,
    columns: int = 2,
    separator: str = " ",
    marks: bool = True,
    scheme: Callable[[Sequence[str]], Sequence[str]] = tuple,
) -> str:
    lines: list[str] = []
    for article in articles:
        if marks:
            lines += [separator.join(["-DOCSTART-", *["-X-"] * (columns - 2), "O"]), ""]
        for item in article.sentences:
            for word, label in zip(item.words, scheme(item.labels), strict=True):
                lines.append(separator.join([word, *["NN", "B-NP"][: columns - 2], label]))
            lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def evaluated(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert cli.main(["evaluate", *arguments, "--json"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_file_of_the_models_own_answers_is_all_right(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    articles = as_tagged()
    found = evaluated(capfd, written(tmp_path / "a.conll", articles))
    assert found["overall"]["precision"] == found["overall"]["recall"] == 1.0
    assert found["overall"]["f1"] == 1.0
    entities = [
        label for item in articles for s in item.sentences for label in s.labels if label[0] == "B"
    ]
    assert found["overall"]["gold"] == len(entities) > 20
    assert found["errors"] == []
    assert found["corpus"] == {
        "file": str(tmp_path / "a.conll"),
        "articles": 3,
        "sentences": 9,
        "sentences_and_articles": 12,
        "tokens": sum(len(text.split()) for text in SENTENCES),
        "entities": {
            name: entities.count(f"B-{name}")
            for name in sorted({label[2:] for label in LABELS} - {""})
            if f"B-{name}" in entities
        },
    }
    info = tiny_tagger().info
    assert found["model"] == {
        "name": tiny_folder().name,
        "revision": info.revision,
        "device": "cpu",
        "dtype": "float32",
        "types": list(info.types),
        "scheme": "IOB",
        "outside": ["O"],
    }
    assert found["run"]["level"] == "article"
    assert found["run"]["model_tokens"] > found["corpus"]["tokens"]


def test_what_is_wrong_is_counted_by_type_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, *rest = as_tagged()
    sentence = first.sentences[0]
    place = next(i for i, label in enumerate(sentence.labels) if label.startswith("B-"))
    labels = list(sentence.labels)
    kind = labels[place][2:]
    other = "LOC" if kind != "LOC" else "PER"
    labels[place] = f"B-{other}"
    if labels[place + 1].startswith("I-"):
        labels[place + 1] = "O"
    changed = LabelledArticle((Sentence(sentence.words, tuple(labels)), *first.sentences[1:]))
    found = evaluated(capfd, written(tmp_path / "a.conll", [changed, *rest]))
    overall = found["overall"]
    assert overall["correct"] == overall["gold"] - 1
    assert overall["precision"] == overall["correct"] / overall["predicted"]
    assert overall["recall"] == overall["correct"] / overall["gold"]
    assert overall["f1"] == 2 * overall["correct"] / (overall["gold"] + overall["predicted"])
    assert found["by_type"][other]["correct"] == found["by_type"][other]["gold"] - 1
    (error,) = found["errors"]
    assert error["count"] == 1
    assert error["gold"]["type"] == other
    assert error["predicted"]["type"] == kind
    off_diagonal = sum(
        count
        for gold, row in found["confusion"].items()
        for predicted, count in row.items()
        if gold != predicted and gold in found["by_type"]
    )
    assert off_diagonal == 1


@pytest.mark.parametrize(
    "form",
    [
        {"columns": 4},
        {"columns": 3, "separator": "\t"},
        {"separator": "\t"},
        {"scheme": iob1},
        {"columns": 4, "scheme": iobes, "separator": "   "},
    ],
    # The same each time: a function's own text has its address in it.
    ids=lambda form: str({name: getattr(value, "__name__", value) for name, value in form.items()}),
)
def test_every_form_of_a_file_gives_the_same(
    form: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    articles = as_tagged()
    plain = evaluated(capfd, written(tmp_path / "a.conll", articles))
    found = evaluated(capfd, written(tmp_path / "b.conll", articles, **form))
    assert (tmp_path / "a.conll").read_text() != (tmp_path / "b.conll").read_text()
    for key in ("overall", "by_type", "by_characters", "confusion", "errors"):
        assert found[key] == plain[key], key
    assert {**found["corpus"], "file": ""} == {**plain["corpus"], "file": ""}


def test_without_document_marks_the_file_is_one_article(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.conll", as_tagged(), marks=False)
    found = evaluated(capfd, file)
    assert (found["corpus"]["articles"], found["corpus"]["sentences"]) == (1, 9)
    assert found["overall"]["f1"] < 1.0, "the tiny model answers with what stands beside a word"


def test_sentences_alone_are_another_question_than_articles(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.conll", as_tagged("sentence"))
    alone = evaluated(capfd, file, "--level", "sentence")
    assert alone["overall"]["f1"] == 1.0
    assert alone["run"]["level"] == "sentence"
    assert alone["corpus"]["articles"] == 3
    assert evaluated(capfd, file)["overall"]["f1"] < 1.0


def test_joined_articles_are_read_in_windows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.conll", as_tagged())
    apart = evaluated(capfd, file, "--window-overlap-tokens", "16")
    whole = evaluated(capfd, file, "--window-overlap-tokens", "16", "--join-words", "1000")
    narrow = evaluated(capfd, file, "--window-overlap-tokens", "4", "--window-tokens", "20")
    assert whole["corpus"] == apart["corpus"]
    assert whole["run"]["join_words"] == 1_000
    assert narrow["run"]["window_tokens"] == 20
    assert len({found["run"]["model_tokens"] for found in (apart, whole, narrow)}) == 3
    assert narrow["overall"]["f1"] < 1.0


def test_the_report_for_a_reader(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    articles = as_tagged()
    file = written(tmp_path / "a.conll", [LabelledArticle(a.sentences) for a in articles])
    as_json = evaluated(capfd, file, "--level", "sentence")
    assert cli.main(["evaluate", file, "--level", "sentence", "--errors", "2"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert f"{file}: 3 articles, 9 sentences (12 with -DOCSTART- lines), " in out
    assert "sentence by sentence, aggregation word, windows of the model's limit, " in out
    assert "overlap 64 tokens" in out
    for name, score in [*as_json["by_type"].items(), ("all", as_json["overall"])]:
        row = f"{score['precision']:.2%} {score['recall']:.2%} {score['f1']:.2%}"
        counts = f"{score['gold']} {score['predicted']} {score['correct']}"
        assert f"{name} {row} {counts}" in " ".join(out.split()), name
    head, *rest = out[out.index("gold \\ predicted") :].splitlines()
    assert head.split()[-3:] == ["other", "edges", "nothing"]
    for line, (name, row) in zip(rest, as_json["confusion"].items(), strict=False):
        assert line.split()[-len(row) :] == [str(count) for count in row.values()], name
    errors = out[out.index(" errors, ") :].splitlines()[2:]
    assert len(errors) == 2
    assert errors[0].split()[-1] == str(as_json["errors"][0]["count"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Oslo B-LOC\nBergen\n", r"a.conll:2: the word 'Bergen' has no label column; give one"),
        (b"Oslo B-LOC\n\nx NN O\n", r"a.conll:3: 3 columns where earlier lines have 2; give every"),
        (b"Oslo LOC\n", r"a.conll:1: the last column is 'LOC', not O or .*; put the label last"),
        ("Malmö B-LOC\n".encode("latin-1"), r"a.conll:1: the text is not UTF-8; convert the file"),
        (b"-DOCSTART- O\n\n", r"a.conll:1: there is no word in this file; give one word a line"),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_what_would_be_right(
    content: bytes, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(content)
    assert cli.main(["evaluate", str(path)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert re.search(says, err), err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.conll"], "FILE: missing.conll cannot be read (No such file or directory); name"),
        (["{file}", "--errors", "-1"], "--errors: -1 is below 0; give 0 or more"),
        (["{file}", "--join-words", "-1"], "--join-words: -1 is below 0; give 0 or more"),
        (
            ["{file}", "--join-words", "9", "--level", "sentence"],
            "--join-words: joins articles, and --level sentence takes them apart; leave one",
        ),
        (["{file}", "--window-tokens", "2"], "--window-tokens: 2 leaves no room for text beside"),
        (["{file}", "--window-tokens", "-2"], "--window-tokens"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.conll", as_tagged())
    assert cli.main(["evaluate", *(item.format(file=file) for item in arguments)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err


def test_types_that_the_model_has_not_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny_model(tmp_path / "m", labels=("O", "B-PER", "I-PER"))
    (tmp_path / "a.conll").write_text("Oslo B-LOC\nx B-PER\n")
    code = cli.main(["evaluate", str(tmp_path / "a.conll"), "--model", str(folder), "--json"])
    out, err = capfd.readouterr()
    assert code == 0
    assert "has no type LOC, so it will find none of them; it has PER" in err
    assert json.loads(out)["by_type"]["LOC"]["recall"] == 0.0


def test_progress_is_a_bar_on_a_terminal_and_a_line_now_and_then_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Console(file=StringIO(), force_terminal=True, width=80)
    with progress_of(40, "articles", terminal) as advance:
        advance(13)
    assert "13/40" in terminal.file.getvalue()  # type: ignore[attr-defined]
    log = Console(file=StringIO())
    now = iter([0.0, 3.0, 11.0, 12.0, 30.0])
    monkeypatch.setattr("consumer.commands.evaluate.display.time.monotonic", lambda: next(now))
    with progress_of(4_000, "articles", log) as advance:
        for done in (1_000, 2_000, 3_000, 4_000):
            advance(done)
    assert log.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "tagged 2,000 of 4,000 articles",
        "tagged 4,000 of 4,000 articles",
    ]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the CoNLL-2003 files are not beside the project")
def test_the_corpus_of_dev_is_the_published_one(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERSTREAM_BATCH_TOKENS", "4096")
    assert cli.main(["evaluate", str(CORPUS / "dev.txt"), "--json", "--errors", "0"]) == 0
    corpus = json.loads(capfd.readouterr().out)["corpus"]
    assert (corpus["articles"], corpus["sentences"], corpus["tokens"]) == (216, 3_250, 51_362)
    assert corpus["sentences_and_articles"] == 3_466
    assert corpus["entities"] == {"LOC": 1_837, "MISC": 922, "ORG": 1_341, "PER": 1_842}
