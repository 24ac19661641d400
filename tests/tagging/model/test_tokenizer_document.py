"""A tokenizer's own document held against what the library's classes make of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from consumer.tagging.model import tokenizer_document
from consumer.tagging.model.folder import BUNDLED_FOLDER
from tests.support.models.charsmap import precompiled_charsmap
from tests.support.models.spoiled_folders import change, load, refusal
from tests.support.models.tiny_models import SENTENCES

CASED = {
    "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
    "strip_accents": True, "lowercase": False,
}  # fmt: skip
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def as_class(folder: Path, kind: str, **said: Any) -> None:
    change(folder, "tokenizer_config.json", tokenizer_class=kind, **said)


def continue_by(folder: Path, prefix: str) -> None:
    """Mark the pieces that continue a word by another prefix than BERT's."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    vocabulary = {
        prefix + piece[2:] if piece.startswith("##") else piece: number
        for piece, number in model["vocab"].items()
    }
    changed = model | {"continuing_subword_prefix": prefix, "vocab": vocabulary}
    change(folder, "tokenizer.json", model=changed)


def by_document(folder: Path, text: str) -> list[int]:
    found: list[int] = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    return found


@pytest.mark.parametrize(
    ("family", "kind", "steps"),
    [
        ("bert-cased", "BertTokenizer", {"pre_tokenizer": {"type": "WhitespaceSplit"}}),
        ("bert-cased", "DistilBertTokenizer", {"normalizer": None}),
        ("bert-cased", "BertTokenizerFast", {"normalizer": {"type": "NFC"}}),
        ("roberta", "RobertaTokenizer", {"normalizer": {"type": "Lowercase"}}),
        ("roberta", "GPT2Tokenizer", {"pre_tokenizer": BYTES}),
        ("xlm-roberta", "XLMRobertaTokenizer", {"normalizer": {"type": "Lowercase"}}),
        # Steps as the family has them.
        ("deberta-v3", "DebertaV2Tokenizer", {}),
    ],
)
def test_text_is_read_as_the_document_says_and_it_is_told(
    make: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    family: str,
    kind: str,
    steps: Mapping[str, Any],
) -> None:
    folder = make(family)
    as_class(folder, kind)
    change(folder, "tokenizer.json", **steps)
    model = load(folder)
    for text in (*SENTENCES, "ＴＨＥ  Zürich's"):
        assert model.tokenizer.encode(text).ids == by_document(folder, text)
    prefix, suffix = (0, 2) if family in ("roberta", "xlm-roberta", "deberta-v3") else (2, 3)
    assert (model.prefix_ids, model.suffix_ids) == ((prefix,), (suffix,))
    assert model.unknown_id == (3 if prefix == 0 else 1)
    (told,) = [one.getMessage() for one in caplog.records if "tokenizer_class" in one.getMessage()]
    assert f"the class {kind} (tokenizer_class) reads text in another way than its" in told
    assert 'as tokenizer.json says; write "tokenizer_class": "PreTrainedTokenizerFast" in' in told
    caplog.clear()
    as_class(folder, "PreTrainedTokenizerFast")
    again = load(folder)
    assert "tokenizer_class" not in caplog.text
    assert [again.tokenizer.encode(text).ids for text in SENTENCES] == [
        model.tokenizer.encode(text).ids for text in SENTENCES
    ]


def test_another_mark_of_pieces_that_continue_a_word_is_kept(make: Callable[..., Path]) -> None:
    folder = make()
    as_class(folder, "BertTokenizer", do_lower_case=False)
    continue_by(folder, "@@")
    read = load(folder).tokenizer.encode("Marta of Zürich", add_special_tokens=False).tokens
    assert read == ["Mar", "@@ta", "of", "Zür", "@@ich"]


@pytest.mark.parametrize(
    ("family", "kind", "steps", "said"),
    [
        ("bert-cased", "BertTokenizer", {}, {}),
        ("bert-cased", "ElectraTokenizer", {}, {"do_lower_case": False}),
        ("bert-uncased", "BertTokenizer", {}, {}),
        ("roberta", "RobertaTokenizer", {}, {}),
        # What a person has written wins, as in the classes of the library.
        ("roberta", "RobertaTokenizer", {}, {"add_prefix_space": True}),
        ("roberta", "RobertaTokenizer", {"pre_tokenizer": BYTES}, {"add_prefix_space": False}),
        ("bert-cased", "BertTokenizer", {}, {"strip_accents": True}),
        ("bert-cased", "BertTokenizer", {"normalizer": CASED}, {"strip_accents": None}),
    ],
)
def test_nothing_is_told_where_both_read_alike_and_no_piece_is_read_for_it(
    make: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    family: str,
    kind: str,
    steps: Mapping[str, Any],
    said: Mapping[str, Any],
) -> None:
    folder = make(family)
    as_class(folder, kind, **said)
    change(folder, "tokenizer.json", **steps)
    monkeypatch.setattr(tokenizer_document, "_difference", None)
    load(folder)
    assert "tokenizer_class" not in caplog.text


def test_steps_of_the_family_are_read_alike_by_its_class(
    make: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """As XLM-R has them."""
    folder = make("xlm-roberta")
    as_class(folder, "XLMRobertaTokenizer")
    map_ = base64.b64encode(precompiled_charsmap()).decode()
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    change(
        folder,
        "tokenizer.json",
        normalizer={"type": "Precompiled", "precompiled_charsmap": map_},
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace],
        },
    )
    load(folder)
    assert "tokenizer_class" not in caplog.text


def test_case_that_a_person_asks_for_wins_over_a_document_that_has_no_place_for_it(
    make: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make()
    as_class(folder, "BertTokenizer", do_lower_case=True)
    change(folder, "tokenizer.json", normalizer=None)
    assert load(folder).tokenizer.encode("THE", add_special_tokens=False).tokens == ["the"]
    assert (
        "is read as the class does, since tokenizer_config.json says do_lower_case" in caplog.text
    )


def add_to_configuration(folder: Path) -> None:
    """A token that the tokenizer's configuration adds, and its document does not have."""
    token = {"content": "Nordbank", "special": False}
    pieces = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    said = json.loads((folder / "tokenizer_config.json").read_text())
    decoder = said.get("added_tokens_decoder", {}) | {str(len(pieces)): token}
    change(folder, "tokenizer_config.json", added_tokens_decoder=decoder)


def test_a_document_that_lacks_pieces_is_not_read_and_it_is_told(
    make: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make()
    as_class(folder, "BertTokenizer")
    change(folder, "tokenizer.json", pre_tokenizer={"type": "WhitespaceSplit"})
    add_to_configuration(folder)
    # Its weights do not know it either.
    assert "counts to token 553" in refusal(folder)
    assert (
        "it is read as the class does, since tokenizer.json has no 'Nordbank' of the number 553; "
        'write "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json if the model '
        "was trained with tokenizer.json" in caplog.text
    )


def test_a_class_to_which_most_words_are_unknown_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    as_class(folder, "BertTokenizer")
    continue_by(folder, "@@")
    add_to_configuration(folder)
    says = refusal(folder)
    assert says.startswith("the class BertTokenizer (tokenizer_class) reads text in another way")
    assert 'of a text would be unknown; write "tokenizer_class": "PreTrainedTokenizerFast"' in says


def test_the_bundled_model_is_its_document_and_is_not_held_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokenizer_document, "_reads_alike", None)
    model = load(BUNDLED_FOLDER)
    for text in SENTENCES:
        assert model.tokenizer.encode(text).ids == by_document(BUNDLED_FOLDER, text)
