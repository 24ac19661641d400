"""Model folders as people have them: what can be read is, the rest gets a sentence of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.models.spoiled_folders import (
    BROKEN,
    change,
    label,
    load,
    refusal,
    spoil,
    tagger_of,
)
from tests.support.models.tiny_models import (
    LABELS,
    SENTENCES,
    entities_of,
    tiny_folder,
)

SPELLINGS = {
    "BIO": LABELS,
    "B-O and I-O": ("B-O", *LABELS[1:]),
    "NONE": ("NONE", *LABELS[1:]),
    "underscores": tuple(name.replace("-", "_") for name in LABELS),
    "suffixes": tuple("-".join(reversed(name.split("-"))) for name in LABELS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_labels_in_other_spellings_give_the_same_entities(
    make: Callable[..., Path], spelling: str
) -> None:
    expected = entities_of(tagger_of(tiny_folder()), SENTENCES[0])
    folder = make()
    label(folder, *SPELLINGS[spelling])
    tagger = tagger_of(folder)
    assert tagger.info.types == ("LOC", "MISC", "ORG", "PER")
    assert entities_of(tagger, SENTENCES[0]) == expected
    assert len(expected) > 3


@pytest.mark.parametrize(
    ("labels", "level", "says"),
    [
        (LABELS, logging.INFO, "labels read as IOB, outside O, types LOC, MISC, ORG, PER"),
        (("O", *(f"{x}-{y}" for x in "BIES" for y in ("A", "Z"))), logging.WARNING, "as BIOES"),
        (("none", *LABELS[1:]), logging.WARNING, "labels read as IOB, outside none, types LOC,"),
        (("O", *"ACDFGHJK"), logging.INFO, "labels read as IO, outside O, types A, C"),
    ],
)
def test_how_labels_were_read_is_said(
    make: Callable[..., Path],
    labels: tuple[str, ...],
    level: int,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Out of the ordinary aloud, so that `nerstream tag` says it too."""
    folder = make()
    label(folder, *labels)
    with caplog.at_level(logging.INFO):
        info = load(folder).info
    (record,) = [one for one in caplog.records if "labels" in one.getMessage()]
    assert record.levelno == level
    assert record.getMessage().startswith(f"model {folder.name}: ")
    assert says in record.getMessage()
    assert (info.scheme, *info.outside) == (
        "BIOES" if "as BIOES" in says else "IO" if "as IO," in says else "IOB",
        labels[0],
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"id2label": {"0": 0, "1": 1}},
            "has numbers in place of labels; it must give each",
        ),
        ({"id2label": None}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": ...}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": {}}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": list(LABELS)}, "id2label in its config.json is a list; it must give each"),
        ({"id2label": "O"}, "id2label in its config.json is a text; it must give each"),
        ({"id2label": {"O": 0, "B-PER": 1}}, "is the wrong way round, from label to output"),
        ({"id2label": {"0": "O", "B-PER": "1"}}, "has the key 'B-PER'"),
        ({"id2label": {"0": "O", "1": None}}, "gives output 1 null"),
        ({"id2label": {"0": "O", "2": "PER"}}, "must number the labels from 0 without gaps"),
        (
            {"id2label": {"0": "O", "1": "PER"}},
            "names 2 labels, its head has 9 outputs; name",
        ),
        ({"id2label": {"9" * 5000: "O"}}, "has the key '999999999999999999'; it must give"),
        ({"num_labels": 5}, "names 9 labels, num_labels says 5; remove"),
        ({"num_labels": "9"}, 'names 9 labels, num_labels says "9"; remove num_labels'),
    ],
)
def test_labels_in_another_form_are_refused(
    make: Callable[..., Path], changes: dict[str, Any], says: str
) -> None:
    folder = make()
    change(folder, **changes)
    assert says in refusal(folder)


BROKEN_JSON: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    **BROKEN,
    "mark": (
        lambda data: b"\xef\xbb\xbf" + data,
        "begins with a byte order mark; save",
    ),
    "cut": (lambda data: data[: len(data) // 2], "is cut off in line "),
    "cut word": (lambda _: b'{"a": tru', "is cut off in line 1"),
    "cut text": (lambda _: b'{"a": "tru', "is cut off in line 1"),
    "utf-16": (lambda data: data.decode().encode("utf-16"), "is not UTF-8 (byte 0); save it as"),
    "latin-1": (lambda _: b'{"a": "\xe9"}', "is not UTF-8 (byte 7); save it as UTF-8"),
    "comma": (lambda _: b'{"a": 1, }', "is not JSON ("),
    "digits": (lambda _: b'{"a": ' + b"9" * 5000 + b"}", "is not JSON as anyone writes it ("),
    "list": (lambda _: b"[]", "holds a list where an object is due"),
    "null": (lambda _: b"null", "holds null where an object is due"),
}


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("kind", BROKEN_JSON)
def test_a_file_that_is_no_json_object_is_named(
    make: Callable[..., Path], file: str, kind: str
) -> None:
    data, says = BROKEN_JSON[kind]
    folder = make()
    spoil(file, data)(folder)
    assert refusal(folder).startswith(f"its {file} {says}")
