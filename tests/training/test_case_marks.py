"""An uncased checkpoint whose tokenizer marks words with capitals."""

from __future__ import annotations

import itertools
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, BertTokenizerFast

from consumer.training import case_marks
from consumer.training.case_marks import CaseMark, mark_ids, with_case_marks

SPECIAL = ["[PAD]", "[unused0]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"acdeilmnoprsty.'-3", *(f"##{one}" for one in "acdeilmnoprsty3")]
WORDS = ["oslo", "is", "in", "mc", "donald", "##donald", "iphone", "ł", "##od"]


@pytest.fixture
def uncased() -> BertTokenizerFast:
    pieces = dict.fromkeys([*SPECIAL, *LETTERS, *WORDS])
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=64)


def model_for(tokenizer: BertTokenizerFast) -> BertForTokenClassification:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    torch.manual_seed(3)
    return BertForTokenClassification(config)


CAP, UPPER, MIXED = (f"##{mark}" for mark in CaseMark)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("oslo", ["oslo"]),
        ("Oslo", ["oslo", CAP]),
        ("OSLO", ["oslo", UPPER]),
        ("McDonald", ["mc", "##donald", MIXED]),
        ("iPhone", ["iphone", MIXED]),
        ("A. Oslo", ["a", CAP, ".", "oslo", CAP]),
        ("Oslo's", ["oslo", CAP, "'", "s"]),
        ("Oslo-OSLO", ["oslo", CAP, "-", "oslo", UPPER]),
        ("3D", ["3", "##d", MIXED]),
        ("D3", ["d", "##3", CAP]),
        ("DDD3", ["d", "##d", "##d", "##3", UPPER]),
        # Accents go, as they did before, and letters that lose nothing by it stay.
        ("Ósló", ["oslo", CAP]),
        ("O\u0301slo", ["oslo", CAP]),
        ("Łod", ["ł", "##od", CAP]),
        ("", []),
    ],
)
def test_a_word_with_a_capital_gets_one_mark(
    uncased: BertTokenizerFast, text: str, pieces: list[str]
) -> None:
    marked = with_case_marks(model_for(uncased), uncased, seed=1)
    assert marked.tokenize(text) == pieces


def test_a_mark_belongs_to_its_word(uncased: BertTokenizerFast) -> None:
    marked = with_case_marks(model_for(uncased), uncased, seed=1)
    encoded = marked("is Oslo in", add_special_tokens=False, return_offsets_mapping=True)
    # The mark has the offsets of the word's last character.
    assert encoded["offset_mapping"] == [(0, 2), (3, 7), (6, 7), (8, 10)]
    assert encoded.word_ids() == [0, 1, 1, 2]
    assert marked.decode(encoded["input_ids"]) == "is oslo in"
    assert marked.convert_tokens_to_string(["oslo", UPPER, "is"]) == "oslo is"


def test_marks_take_the_places_of_reserved_pieces(uncased: BertTokenizerFast) -> None:
    model = model_for(uncased)
    before = model.get_input_embeddings().weight.detach().clone()
    marked = with_case_marks(model, uncased, seed=1)
    after = model.get_input_embeddings().weight.detach()
    assert mark_ids(marked) == {CaseMark.CAPITALISED: 1, CaseMark.UPPER: 2, CaseMark.MIXED: 3}
    assert mark_ids(uncased) == {}
    assert len(marked) == len(uncased) == model.config.vocab_size
    changed = (before != after).any(dim=1).nonzero().flatten().tolist()
    assert changed == [1, 2, 3]
    assert marked.model_max_length == 64
    again = model_for(uncased)
    with_case_marks(again, uncased, seed=1)
    assert torch.equal(again.get_input_embeddings().weight, after)


def test_the_tokenizer_is_the_same_after_it_was_saved(
    uncased: BertTokenizerFast, tmp_path: Path
) -> None:
    marked = with_case_marks(model_for(uncased), uncased, seed=1)
    marked.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ("Oslo OSLO Ósló in McDonald's", "xyz NOROR"):
        assert again(text)["input_ids"] == marked(text)["input_ids"]
        assert again.tokenize(text) == marked.tokenize(text)


def test_a_cased_vocabulary_is_refused(uncased: BertTokenizerFast) -> None:
    cased = BertTokenizerFast(vocab=uncased.get_vocab(), do_lower_case=False)
    with pytest.raises(ValueError, match="only an uncased WordPiece"):
        with_case_marks(model_for(cased), cased, seed=1)


def test_a_vocabulary_without_room_is_refused() -> None:
    pieces = [one for one in [*SPECIAL, *LETTERS] if one != "[unused2]"]
    full = BertTokenizerFast(
        vocab={piece: index for index, piece in enumerate(pieces)}, do_lower_case=True
    )
    with pytest.raises(ValueError, match=r"2 reserved pieces .* fewer than the 3 marks"):
        with_case_marks(model_for(full), full, seed=1)


def _mark_of(word: str) -> str:
    """The mark of a word by the rule, in plain Python."""
    kinds = [unicodedata.category(one) for one in word]
    capitals = kinds.count("Lu")
    others = [kind for kind in kinds if kind != "Lu" and kind[0] not in "MN"]
    if kinds[0] == "Lu" and capitals > 1 and not others:
        return CaseMark.UPPER
    if kinds[0] == "Lu" and capitals == 1 and "Lt" not in kinds:
        return CaseMark.CAPITALISED
    return CaseMark.MIXED if capitals else ""


def _marked(text: str) -> str:
    """A text with the marks of its words, by the same rule."""
    words = itertools.groupby(text, key=lambda one: unicodedata.category(one)[0] in "LMN")
    groups = [(is_word, "".join(letters)) for is_word, letters in words]
    return "".join(group + (_mark_of(group) if is_word else "") for is_word, group in groups)


def _normalizers() -> normalizers.Sequence:
    replaced = [
        normalizers.Replace(Regex(rule), mark) for mark, rule in case_marks._PATTERNS.items()
    ]
    return normalizers.Sequence(replaced)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="AaBbÉé1٣ .-'ǅʰªㄱ中\u0301ßİıΣςЖж_\n\u200d", max_size=14))
def test_the_expressions_follow_the_rule(text: str) -> None:
    assert _normalizers().normalize_str(text) == _marked(text)


@pytest.mark.parametrize(
    "word", ["A" * 200_000, "A" * 100_000 + "1" * 100_000 + "a", "Aa" * 100_000, "1" * 200_000]
)
def test_the_longest_words_are_marked(word: str) -> None:
    """An expression that gives back what it took breaks on a few thousand letters."""
    assert _normalizers().normalize_str(f"in {word} is") == f"in {word}{_mark_of(word)} is"
