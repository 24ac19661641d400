"""`nerstream tag` from its arguments to what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import cli
from tests.support.models.tiny_models import entities_of, tiny_folder, tiny_tagger

TEXT = "Marta Lindqvist of Nordbank met Jean-Pierre Okafor in Lisbon."


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", str(tiny_folder()))
    monkeypatch.setenv("NERSTREAM_DEVICE", "cpu")
    monkeypatch.setenv("NERSTREAM_DTYPE", "float32")


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def tagged(capfd: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], str]:
    """The documents on standard output, and standard error."""
    out, err = capfd.readouterr()
    return [orjson.loads(line) for line in out.splitlines()], err


def test_each_line_of_a_text_is_an_article(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", f"\ufeff{TEXT}\r\n\n  \nZürich and Genève")
    assert cli.main(["tag", file]) == 0
    documents, err = tagged(capfd)
    assert err == ""
    assert [(d["id"], d["body"]) for d in documents] == [("1", TEXT), ("4", "Zürich and Genève")]
    assert [
        (e["field"], e["type"], e["start"], e["end"], e["text"]) for e in documents[0]["entities"]
    ] == [("body", e.type, e.start, e.end, e.text) for e in entities_of(tiny_tagger(), TEXT)]
    assert documents[0]["entities"]
    assert documents[0]["tagging"]["model"] == tiny_folder().name


def test_the_whole_text_as_one_article(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.txt", f"{TEXT}\n\nZürich\n")
    assert cli.main(["tag", file, "--whole", "--json"]) == 0
    documents, _ = tagged(capfd)
    assert [(d["id"], d["body"]) for d in documents] == [("1", f"{TEXT}\n\nZürich\n")]


def test_whole_takes_one_json_object_over_many_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    article = {"id": "n1", "title": "Kotor", "body": TEXT}
    file = written(tmp_path / "news.json", orjson.dumps(article, option=orjson.OPT_INDENT_2))
    assert cli.main(["tag", file, "--whole", "--json"]) == 0
    # Its own bytes come out, with their line ends.
    document = orjson.loads(capfd.readouterr().out)
    assert (document["id"], document["body"]) == ("n1", TEXT)
    assert document["entities"]


@pytest.mark.parametrize("more", [(), ("--explain",)])
def test_one_json_object_over_many_lines_is_told_how_to_be_read(
    more: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    article = {"id": "n1", "body": TEXT, "list": [{"a": []}, "x"]}
    file = written(tmp_path / "news.json", orjson.dumps(article, option=orjson.OPT_INDENT_2))
    assert cli.main(["tag", file, *more]) == 1
    assert "--whole takes it as one article" in capfd.readouterr().err
    for lines in (b'{"id": "1"}\n{"id": "2"}', b'{"id": "1", \n{"id": "2", "body": "x"}', b"{"):
        assert cli.main(["tag", written(tmp_path / "news.json", lines), *more]) == 1
        assert "--whole" not in capfd.readouterr().err


def test_json_lines_keep_their_fields_and_their_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [{"id": f"n{i}", "title": f"Kotor {i}", "body": TEXT, "extra": [i]} for i in range(150)]
    content = b"\n".join(orjson.dumps(line) for line in lines)
    # No ending that says so: the first character does.
    assert cli.main(["tag", written(tmp_path / "news", content)]) == 0
    documents, _ = tagged(capfd)
    assert [{k: d[k] for k in ("id", "title", "body", "extra")} for d in documents] == lines
    for document in documents:
        for entity in document["entities"]:
            text = document[entity["field"]]
            assert text[entity["start"] : entity["end"]] == entity["text"]


def test_bad_lines_are_told_and_the_rest_is_tagged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path / "a.jsonl",
        b'{"id":"1","body":"Kotor"}\nnope\n{"id":"2"}\n{"id":"3","body":"\xff"}\n'
        b'{"id":"4","title":"Lisbon"}\n',
    )
    assert cli.main(["tag", file]) == 1
    documents, err = tagged(capfd)
    assert [document["id"] for document in documents] == ["1", "4"]
    told = [line.split(": ")[:2] for line in err.splitlines()]
    assert told == [
        [f"{file}, line 2", "invalid_json"],
        [f"{file}, line 3", "no_text"],
        [f"{file}, line 4", "invalid_utf8"],
    ]


def test_text_that_is_not_utf8_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.txt", b"Kotor\nZ\xfcrich\n")
    assert cli.main(["tag", file]) == 1
    documents, err = tagged(capfd)
    assert [document["body"] for document in documents] == ["Kotor"]
    assert err == f"{file}, line 2: invalid_utf8: byte 1 of the text is not UTF-8\n"


@pytest.mark.parametrize(
    ("name", "content", "more", "ids"),
    [
        ("a.txt", '{"id":"x","body":"Kotor"}', [], ["x"]),
        ("a.txt", '{"id":"x","body":"Kotor"}', ["--input-format", "text"], ["1"]),
        ("a.txt", "Kotor {}", [], ["1"]),
        ("a.txt", "", [], []),
        ("a.jsonl", "\n\n", [], []),
    ],
)
def test_how_the_format_is_found(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    content: str,
    more: list[str],
    ids: list[str],
) -> None:
    assert cli.main(["tag", written(tmp_path / name, content), *more]) == 0
    assert [document["id"] for document in tagged(capfd)[0]] == ids


def test_text_goes_to_a_field_that_is_tagged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", "Kotor")
    assert cli.main(["tag", file, "--text-fields", "lead,story"]) == 0
    assert tagged(capfd)[0][0]["lead"] == "Kotor"


def test_the_settings_of_the_tagger_are_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", TEXT)
    assert cli.main(["tag", file, "--aggregation", "none", "--batch-tokens", "1"]) == 0
    expected = entities_of(tiny_tagger(aggregation="none"), TEXT)
    found = [(e["start"], e["end"]) for e in tagged(capfd)[0][0]["entities"]]
    assert found == [(e.start, e.end) for e in expected]


def test_pretty_shows_the_text_and_the_types(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", TEXT)
    assert cli.main(["tag", file, "--pretty"]) == 0
    out, _ = capfd.readouterr()
    expected, end = "", 0
    for entity in entities_of(tiny_tagger(), TEXT):
        expected += f"{TEXT[end : entity.end]} {entity.type}"
        end = entity.end
    assert out.splitlines() == ["1", f"  {expected}{TEXT[end:]}", ""]


def test_a_file_that_is_not_there_is_told_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", "./no-such-model")
    assert cli.main(["tag", "no-such-file"]) == 2
    assert capfd.readouterr().err == (
        "nerstream: error: FILE: no-such-file cannot be read (No such file or directory); "
        "it must be a file of text or JSON lines, or - for standard input\n"
    )


def test_a_model_that_is_not_there_ends_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "a.txt", TEXT)
    assert cli.main(["tag", file, "--model", "./no-such-model"]) == 1
    assert capfd.readouterr().err.startswith("nerstream: error: model ./no-such-model: no such")


def test_json_and_pretty_exclude_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tag", "--json", "--pretty"]) == 2
    assert "--pretty is given too" in capfd.readouterr().err


def test_a_pipe_is_answered_line_by_line() -> None:
    """What has come is tagged at once, while the pipe stays open."""
    command = [sys.executable, "-m", "consumer", "tag"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("Kotor", "Lisbon"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert orjson.loads(process.stdout.readline())["body"] == text
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_help_needs_no_model_library() -> None:
    code = (
        "import sys; from consumer import cli; cli.main(['tag', '--help']); "
        "print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "False"
    assert "default: bundled" in " ".join(answer.stdout.split())
