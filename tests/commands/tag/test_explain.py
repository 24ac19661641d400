"""`nerstream tag --explain`: what it says of each message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import cli
from consumer.commands.tag.explain import shown
from tests.support.models.tiny_models import tiny_folder

PATHS = "headlines[*].value,bodies[?contenttype=='text/plain'].value"
MESSAGES: list[Any] = [
    {
        "id": 7,
        "headlines": [{"value": "Kotor"}, {"value": "Marta Lindqvist\x1b[31m\n of Nordbank"}],
        "bodies": [{"contenttype": "text/plain", "value": "Lisbon " * 40}],
    },
    {"id": "p", "type": "picture", "headlines": []},
    {"headlines": [{"value": "x"}]},
]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_MODEL", str(tiny_folder()))
    monkeypatch.setenv("NERSTREAM_DEVICE", "cpu")
    monkeypatch.setenv("NERSTREAM_DTYPE", "float32")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, MESSAGES)) + b"\nnope\n")
    return str(path)


def test_each_message_is_explained_as_json(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["tag", file, "--explain", "--json", "--text-fields", PATHS, "--no-text", "pass"]
    assert cli.main(words) == 1
    out, err = capfd.readouterr()
    assert err == ""
    tagged, passed, no_id, no_json = [orjson.loads(line) for line in out.splitlines()]
    assert (tagged["line"], tagged["id"], tagged["outcome"]) == (1, "7", "tagged")
    assert (tagged["model"], tagged["language"]) == (tiny_folder().name, None)
    assert isinstance(tagged["entities"], int)
    assert [field["field"] for field in tagged["fields"]] == [
        "/headlines/0/value",
        "/headlines/1/value",
        "/bodies/0/value",
    ]
    assert {field["format"] for field in tagged["fields"]} == {"plain"}
    assert tagged["fields"][0]["text"] == "Kotor"
    assert tagged["fields"][1]["text"] == "Marta Lindqvist\\x1b[31m of Nordbank"
    assert tagged["fields"][2]["text"].endswith("…")
    short, _, long = [field["tokens"] for field in tagged["fields"]]
    assert long > 40 > short > 0
    assert passed == {
        "line": 2,
        "id": "p",
        "outcome": "passed",
        "reason": "no_text",
        "why": '"headlines[*].value" finds nothing: /headlines is a list of 0; '
        "\"bodies[?contenttype=='text/plain'].value\" finds nothing: "
        'the message has "id", "type", "headlines"',
        "language": None,
        "fields": [],
    }
    assert (no_id["line"], no_id["outcome"], no_id["code"]) == (3, "rejected", "missing_id")
    assert 'field "id" is missing' in no_id["why"]
    assert (no_json["line"], no_json["code"]) == (4, "invalid_json")


def test_each_message_is_explained_in_lines(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tag", file, "--explain", "--text-fields", PATHS]) == 1
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("line 1, id 7: tagged, ")
    assert lines[0].endswith(f"model {tiny_folder().name}")
    assert lines[1].split() == ["/headlines/0/value", "plain", *lines[1].split()[2:4], "Kotor"]
    assert lines[4] == "line 2: rejected, no_text"
    assert lines[5].startswith('  "headlines[*].value" finds nothing')
    assert lines[6] == "line 3: rejected, missing_id"
    assert "\x1b" not in out


def test_the_reason_is_told_with_plain_names_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id":"1","kind":"photo"}\n{"id":"2","title":""}\n')
    assert cli.main(["tag", str(path), "--explain", "--json", "--no-text", "pass"]) == 0
    told = [orjson.loads(line)["why"] for line in capfd.readouterr().out.splitlines()]
    assert told == [
        'there is no field "title" or "body"; there is "id", "kind"',
        'there is no text in "title" or "body"',
    ]


def test_untagged_messages_come_out_in_their_place(
    file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["tag", file, "--text-fields", PATHS, "--no-text", "pass", "--id-field", ""]
    assert cli.main(words) == 1
    out, err = capfd.readouterr()
    documents = [orjson.loads(line) for line in out.splitlines()]
    assert [document.get("id") for document in documents] == [7, "p", None]
    assert documents[1]["entities"] == []
    assert documents[1]["tagging"]["skipped"] == "no_text"
    assert "line 4: invalid_json" in err
    assert cli.main([*words, "--pretty"]) == 1
    # Without an id a message is told by its line.
    assert "2\nnot tagged: no_text\n" in capfd.readouterr().out


def test_two_forms_at_once_are_refused(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tag", file, "--pretty", "--json"]) == 2
    assert "--json: --pretty is given too; give one of the two" in capfd.readouterr().err


def test_text_is_tagged_whatever_paths_the_settings_have(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Kotor\n")
    words = ["tag", str(path), "--preset", "ninjs", "--output-field", "x.ner"]
    assert cli.main(words) == 0
    document = orjson.loads(capfd.readouterr().out)
    assert (document["id"], document["body"]) == ("1", "Kotor")
    assert set(document["x"]["ner"]) == {"entities", "tagging"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        (" two\n\twords ", "two words"),
        ("\x00\x1b[2J", "\\x00\\x1b[2J"),
        ("\u202eabc\ud83d", "\\u202eabc\\ud83d"),
        ("é" * 60, "é" * 60),
        ("é" * 61, "é" * 60 + "…"),
        ("x" * 10 + " " * 400, "x" * 10 + "…"),
    ],
)
def test_text_is_shown_safely_and_short(text: str, expected: str) -> None:
    assert shown(text) == expected
