"""A tokenizer held against the weights: the wrong ones are refused, the unusual ones are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from consumer.contracts.errors import ModelError
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.tokenizer_check import (
    SAMPLE,
    check_answers,
    check_case,
    check_vocabulary,
)
from consumer.tagging.model.tokenizer_files import is_of_family
from consumer.tagging.select import load_model
from tests.support.models.tiny_models import FAMILIES, tiny_folder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def word_piece(pieces: Sequence[str], *, lowercase: bool = False) -> Tokenizer:
    vocabulary = dict.fromkeys((*SPECIAL, *pieces))
    tokenizer = Tokenizer(
        models.WordPiece({one: n for n, one in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def characters(text: str) -> list[str]:
    found = sorted(set(text) - {" "})
    return [*found, *(f"##{one}" for one in found)]


def refusal(tokenizer: Tokenizer, unknown_id: int | None = 1) -> str:
    with pytest.raises(ModelError) as caught:
        check_answers("m", tokenizer, unknown_id)
    return str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokenizers_of_every_family_are_fine(family: str) -> None:
    fast = FAMILIES[family][0](64)
    tokenizer = fast.backend_tokenizer
    check_answers("m", tokenizer, fast.unk_token_id)
    check_vocabulary("m", tokenizer, len(fast), set(fast.all_special_ids))


@pytest.mark.parametrize("sentence", SAMPLE)
def test_a_tokenizer_of_one_language_is_fine(sentence: str) -> None:
    """Its letters alone, as of a vocabulary of characters, and its words alone."""
    check_answers("m", word_piece(characters(sentence)), 1)
    normalized = normalizers.BertNormalizer(lowercase=False).normalize_str(sentence)
    words = [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]
    check_answers("m", word_piece(words), 1)


def test_a_small_vocabulary_of_a_trade_is_fine() -> None:
    words = "the of and in for on that patient dose mg daily tumour biopsy left right was given"
    check_answers("m", word_piece(words.split()), 1)


def test_bytes_without_merges_are_fine() -> None:
    """A vocabulary of the 256 bytes, which has no pieces to make."""
    alphabet = {one: n for n, one in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    check_answers("m", tokenizer, None)


def test_a_tokenizer_without_its_merges_is_refused() -> None:
    words = {word: None for sentence in SAMPLE[:6] for word in sentence.split()}
    pieces = [*pre_tokenizers.ByteLevel.alphabet(), *(word for word in words if word.isascii())]
    tokenizer = Tokenizer(models.BPE({one: n for n, one in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    says = refusal(tokenizer, None)
    assert says.startswith("model m: its tokenizer never uses most of its own pieces, as if merges")
    assert "of 'the', which is one, it makes t h e; put the tokenizer that belongs" in says


@pytest.mark.parametrize("unknown_id", [1, None])
def test_a_tokenizer_that_knows_no_word_is_refused(unknown_id: int | None) -> None:
    """Whether it says unknown or leaves out what it does not know."""
    tokenizer = (
        word_piece([f"zzq{n}" for n in range(50)])
        if unknown_id
        else Tokenizer(models.BPE({f"zzq{n}": n for n in range(50)}, []))
    )
    assert "to its tokenizer 100% of a text are unknown" in refusal(tokenizer, unknown_id)


def test_a_tokenizer_that_cannot_read_is_refused() -> None:
    tokenizer = Tokenizer(models.WordPiece({"a": 0}, unk_token="[UNK]"))
    assert "its tokenizer cannot read text (WordPiece error: Missing [UNK]" in refusal(tokenizer)


@pytest.mark.parametrize("rows", [104, 128, 232])
@pytest.mark.parametrize("is_odd", [False, True])
def test_weights_may_be_padded(rows: int, is_odd: bool, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = word_piece([f"w{n}" for n in range(100)])
    check_vocabulary("m", tokenizer, rows, {2, 3}, is_odd=is_odd)
    assert not caplog.records


def test_pieces_that_a_tokenizer_lacks_are_told(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = word_piece([f"w{n}" for n in range(996)])
    check_vocabulary("m", tokenizer, 1_600, {2, 3})
    (record,) = caplog.records
    assert "its tokenizer knows 1000 of the 1600 pieces of its weights" in record.getMessage()
    with pytest.raises(ModelError, match="knows 1000 pieces, its weights 1600; put the tokenizer"):
        check_vocabulary("m", tokenizer, 1_600, {2, 3}, is_odd=True)


def test_few_pieces_for_many_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="knows 1000 pieces, its weights 2001; put the tokenizer"):
        check_vocabulary("m", word_piece([f"w{n}" for n in range(996)]), 2_001, {2, 3})


def test_a_tokenizer_that_knows_a_part_of_every_language_is_odd() -> None:
    words = SAMPLE[0].split()
    assert not check_answers("m", word_piece(words), 1)
    assert check_answers("m", word_piece(words[:-2]), 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokenizers_of_a_family_are_of_one_kind(family: str) -> None:
    tokenizer = FAMILIES[family][0](64).backend_tokenizer
    of_bert = family.startswith(("bert", "distilbert"))
    assert is_of_family(tokenizer, {"model_type": "bert"}) == of_bert
    assert is_of_family(tokenizer, {"model_type": "roberta"}) == (family == "roberta")
    assert is_of_family(tokenizer, {"model_type": "no such family"})


def test_an_added_token_without_weights_is_fine_where_text_cannot_ask_for_it() -> None:
    tokenizer = word_piece([f"w{n}" for n in range(100)])
    tokenizer.add_special_tokens([AddedToken("<pad>", special=True)])
    check_vocabulary("m", tokenizer, 104, {2, 3})
    with pytest.raises(ModelError, match="counts to token 104, its weights know 104 tokens"):
        check_vocabulary("m", tokenizer, 104, {2, 104})
    tokenizer.add_tokens(["Nordbank"])
    with pytest.raises(ModelError, match="counts to token 105, its weights know 104 tokens"):
        check_vocabulary("m", tokenizer, 104, {2, 3})


# --- the tokenizer's files against each other


def change(folder: Path, file: str, **members: object) -> None:
    """Put other members into a JSON file."""
    document = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(document | members))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a sound model, of its own."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "own"))


def loaded(folder: Path) -> LoadedModel:
    return load_model(str(folder), "", "cpu", "float32", 1)


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    return str(caught.value).removeprefix(f"model {folder}: ")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_files_of_every_family_agree(family: str, caplog: pytest.LogCaptureFixture) -> None:
    loaded(tiny_folder(family))
    assert "tokenizer" not in caplog.text


def test_a_tokenizer_without_special_tokens_around_a_text_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, "tokenizer.json", post_processor=None)
    assert loaded(folder).special_tokens == 0
    assert "has [CLS] and [SEP] and puts neither around a text" in caplog.text
    assert "its tokenizer.json lacks a post_processor" in caplog.text


def test_a_tokenizer_of_another_model_beside_the_configuration_is_refused(folder: Path) -> None:
    shutil.copy(tiny_folder("roberta") / "tokenizer.json", folder)
    assert refused(folder) == (
        "its tokenizer.json is of another model than its configuration: it has no [UNK], [CLS] or "
        "[SEP]; put the tokenizer that belongs to the model beside it, whole"
    )


@pytest.mark.parametrize("token", ["", {"content": "", "special": True}])
@pytest.mark.parametrize("role", ["unk_token", "sep_token", "mask_token"])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_a_special_token_without_a_text_is_refused(
    folder: Path, file: str, role: str, token: object
) -> None:
    (folder / "special_tokens_map.json").write_text("{}")
    change(folder, file, **{role: token})
    assert refused(folder) == (
        f"{role} in its {file} is an empty text; write the token that the tokenizer has for it, "
        "or null"
    )


def test_a_cased_vocabulary_that_reads_small_letters_alone_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    normalizer = json.loads((folder / "tokenizer.json").read_text())["normalizer"]
    change(folder, "tokenizer.json", normalizer=normalizer | {"lowercase": True})
    loaded(folder)
    assert "of its tokenizer have capitals, and it makes small letters of every text" in caplog.text
    assert "set do_lower_case to false" in caplog.text


def test_an_uncased_vocabulary_that_reads_capitals_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = [
        "the",
        "city",
        "pays",
        "for",
        "a",
        "bridge",
        "minister",
        "said",
        "on",
        "monday",
        "that",
        "will",
        "new",
    ]
    check_case("m", word_piece(words), 1)
    assert "no pieces with capitals and keeps those of a text" in caplog.text
    assert "set do_lower_case to true" in caplog.text


def test_vocabularies_of_their_own_case_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    words = ["the", "city", "pays", "for", "a", "bridge"]
    check_case("m", word_piece(words, lowercase=True), 1)
    check_case("m", word_piece([*words, *(word.upper() for word in words)]), 1)
    # Of another script: what it makes of these letters says nothing.
    check_case("m", word_piece(SAMPLE[10].split()), 1)
    assert caplog.text == ""


def type_tokens(folder: Path, text: int, special: int) -> None:
    """Have the tokenizer give types, and pass them on."""
    processor = json.loads((folder / "tokenizer.json").read_text())["post_processor"]
    for step in processor["single"]:
        for kind, part in step.items():
            part["type_id"] = text if kind == "Sequence" else special
    change(folder, "tokenizer.json", post_processor=processor)
    passed = ["input_ids", "token_type_ids", "attention_mask"]
    change(folder, "tokenizer_config.json", model_input_names=passed)


def test_types_of_a_text_that_are_not_computed_are_refused(folder: Path) -> None:
    type_tokens(folder, 1, 0)
    assert refused(folder) == (
        "its tokenizer gives the tokens of a text the type 1 (type_id under post_processor in its "
        "tokenizer.json), and no types are computed here but 0; choose another model, or, if this "
        "one was trained without types, remove token_type_ids from model_input_names in its "
        "tokenizer_config.json"
    )
    change(folder, "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    loaded(folder)


@pytest.mark.parametrize("special", [0, 1])
def test_types_of_special_tokens_are_told(
    folder: Path, caplog: pytest.LogCaptureFixture, special: int
) -> None:
    type_tokens(folder, 0, special)
    loaded(folder)
    assert ("gives special tokens the type 1 (type_id under" in caplog.text) == bool(special)


def test_types_that_a_network_has_no_place_for_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for family in ("distilbert", "xlm-roberta"):
        folder = Path(shutil.copytree(tiny_folder(family), tmp_path / family))
        type_tokens(folder, 1, 1)
        loaded(folder)
    assert "type_id" not in caplog.text
