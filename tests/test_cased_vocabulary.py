"""An uncased checkpoint that is given its case."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, BertTokenizerFast

from consumer.tagging.cased_vocabulary import with_case
from consumer.tagging.conll import LabelledArticle, Sentence

SPECIAL = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abdenorst.", *(f"##{one}" for one in "abdenorst")]
WORDS = ["oslo", "on", "norse", "stand", "ab", "##and", "##or", "ж", "##ж", "rare", "seldom"]


@pytest.fixture
def uncased(tmp_path: Path) -> BertTokenizerFast:
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL, *LETTERS, "l", "##l", *WORDS]) + "\n", encoding="utf-8")
    vocabulary = {piece: index for index, piece in enumerate(file.read_text().splitlines())}
    return BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=64)


def model_for(tokenizer: BertTokenizerFast) -> BertForTokenClassification:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(3)
    return BertForTokenClassification(config)


def article(*words: str) -> LabelledArticle:
    return LabelledArticle((Sentence(words, ("O",) * len(words)),))


TEXT = article("Oslo", "OSLO", "on", "Stand", ".")


def test_pieces_are_cut_as_before_and_keep_their_case(uncased: BertTokenizerFast) -> None:
    cased = with_case(model_for(uncased), uncased, [TEXT], 120, seed=1)
    assert cased.tokenize("Oslo OSLO oslo") == ["Oslo", "OSLO", "oslo"]
    assert uncased.tokenize("Noror") == ["n", "##or", "##or"]
    assert cased.tokenize("Noror NOROR") == ["N", "##or", "##or", "N", "##OR", "##OR"]
    # Accents went with the case before, and still do.
    assert cased.tokenize("Ósló") == ["Oslo"]
    ids = cased("Oslo")["input_ids"]
    assert cased.convert_ids_to_tokens(ids) == ["[CLS]", "Oslo", "[SEP]"]
    assert cased.model_max_length == 64


def test_a_cased_piece_begins_as_its_twin_and_a_direction_that_all_share(
    uncased: BertTokenizerFast,
) -> None:
    model = model_for(uncased)
    before = model.get_input_embeddings().weight.detach().clone()
    cased = with_case(model, uncased, [TEXT], 120, seed=1)
    after = model.get_input_embeddings().weight.detach()

    def moved(piece: str) -> torch.Tensor:
        old = before[uncased.convert_tokens_to_ids(piece.lower())]
        return after[cased.convert_tokens_to_ids(piece)] - old

    assert torch.equal(moved("oslo"), torch.zeros(16))
    torch.testing.assert_close(moved("Oslo"), moved("Norse"))
    torch.testing.assert_close(moved("OSLO"), moved("##OR"))
    expected = 0.5 * before.norm(dim=1).mean()
    torch.testing.assert_close(moved("Oslo").norm(), expected)
    assert not torch.allclose(moved("Oslo"), moved("OSLO"))
    special = cased.convert_tokens_to_ids("[SEP]")
    assert torch.equal(after[special], before[uncased.sep_token_id])


def test_room_is_made_by_what_english_news_hardly_needs(uncased: BertTokenizerFast) -> None:
    model = model_for(uncased)
    cased = with_case(model, uncased, [TEXT], 45, seed=1)
    vocabulary = cased.get_vocab()
    assert len(vocabulary) == 45 == model.config.vocab_size
    assert sorted(vocabulary.values()) == list(range(45))
    assert not any(piece.startswith("[unused") or "ж" in piece for piece in vocabulary)
    assert "seldom" not in vocabulary
    assert {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a"} <= set(vocabulary)
    output = model(**cased("Oslo stand", return_tensors="pt"))
    assert output.logits.shape[-1] == 2
    assert model.config.pad_token_id == cased.pad_token_id


def test_the_tokenizer_is_the_same_after_it_was_saved(
    uncased: BertTokenizerFast, tmp_path: Path
) -> None:
    cased = with_case(model_for(uncased), uncased, [TEXT], 120, seed=1)
    cased.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ("Oslo OSLO Ósló on the Stand", "NOROR seldom xyz"):
        assert again(text)["input_ids"] == cased(text)["input_ids"]


def test_a_cased_vocabulary_is_refused(uncased: BertTokenizerFast) -> None:
    model = model_for(uncased)
    cased = with_case(model, uncased, [TEXT], 120, seed=1)
    with pytest.raises(ValueError, match="uncased WordPiece"):
        with_case(model, cased, [TEXT], 120, seed=1)
