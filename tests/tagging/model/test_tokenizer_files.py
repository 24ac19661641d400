"""Tokenizers of models: files that are missing, or are of another model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from tokenizers import AddedToken

from consumer.tagging.model import loaded_model
from consumer.tagging.model.loaded_model import LoadedModel
from tests.support.models.spoiled_folders import (
    BROKEN,
    POINTER,
    change,
    load,
    refusal,
    spoil,
    tagger_of,
)
from tests.support.models.tiny_models import (
    LABELS,
    SENTENCES,
    entities_of,
    save_tiny_model,
    tiny_folder,
)


def take_tokenizer(folder: Path) -> Mapping[str, Any]:
    """Remove the tokenizer's files; what its document said of its model."""
    found: Mapping[str, Any] = json.loads((folder / "tokenizer.json").read_text())["model"]
    for path in folder.glob("token*"):
        path.unlink()
    return found


def tokens(model: LoadedModel, text: str) -> list[str]:
    found: list[str] = model.tokenizer.encode(text, add_special_tokens=False).tokens
    return found


def as_json(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(take_tokenizer(folder)["vocab"]))


def as_lines(folder: Path) -> None:
    vocabulary = take_tokenizer(folder)["vocab"]
    names = [one if isinstance(one, str) else one[0] for one in vocabulary]
    (folder / "vocab.txt").write_text("\n".join(names), encoding="utf-8")


def as_merges(folder: Path, merges: str | None = None) -> None:
    model = take_tokenizer(folder)
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}" if merges is None else merges)


@pytest.mark.parametrize(
    ("family", "spoil", "says"),
    [
        (
            "bert-cased",
            as_json,
            "of the family bert (BertTokenizer) is read from tokenizer.json or",
        ),
        ("distilbert", as_json, "is read from tokenizer.json or vocab.txt, and it has vocab.json;"),
        (
            "xlm-roberta",
            as_lines,
            "tokenizer.json or sentencepiece.bpe.model, and it has vocab.tx",
        ),
        (
            "xlm-roberta",
            as_json,
            "tokenizer.json or sentencepiece.bpe.model, and it has vocab.js",
        ),
        ("deberta-v3", as_lines, "is read from tokenizer.json or spm.model, and it has vocab.txt"),
        ("roberta", as_lines, "tokenizer.json or vocab.json and merges.txt, and it has vocab.txt;"),
        ("roberta", as_json, "tokenizer.json or vocab.json and merges.txt, and it has vocab.json;"),
        ("roberta", take_tokenizer, "vocab.json and merges.txt, and it has no tokenizer files;"),
        ("roberta", lambda folder: as_merges(folder, ""), "its merges.txt is empty"),
        (
            "roberta",
            lambda folder: as_merges(folder, "#version: 0.2\n"),
            "its merges.txt has no",
        ),
    ],
)
def test_a_tokenizer_that_lacks_a_file_of_its_family_is_refused(
    make: Callable[..., Path], family: str, spoil: Callable[[Path], object], says: str
) -> None:
    folder = make(family)
    spoil(folder)
    assert says in refusal(folder)


def test_vocabulary_and_merges_are_a_tokenizer(make: Callable[..., Path]) -> None:
    folder = make("roberta")
    as_merges(folder)
    expected = tokens(load(tiny_folder("roberta")), "Marta of Zürich")
    assert tokens(load(folder), "Marta of Zürich") == expected


def test_a_tokenizer_of_another_class_needs_the_files_of_that_class(
    make: Callable[..., Path],
) -> None:
    """As KLUE's RoBERTa has it: BERT's tokenizer."""
    folder = make("bert-cased")
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    config = transformers.RobertaConfig(
        vocab_size=553, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, id2label=dict(enumerate(LABELS)), label2id={}, pad_token_id=0,
    )  # fmt: skip
    transformers.RobertaForTokenClassification(config).save_pretrained(folder)
    assert "RobertaTokenizer) is read from" in refusal(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert tokens(load(folder), "Marta of Zürich") == expected


@pytest.mark.parametrize("data", [pair[0] for pair in BROKEN.values()])
def test_a_vocabulary_that_is_none_is_named(
    make: Callable[..., Path], data: Callable[[bytes], bytes]
) -> None:
    folder = make()
    as_lines(folder)
    spoil("vocab.txt", data)(folder)
    assert refusal(folder).startswith("its vocab.txt is ")


@pytest.mark.parametrize("is_told", [None, False, True])
def test_a_cased_vocabulary_keeps_its_case(make: Callable[..., Path], is_told: bool | None) -> None:
    """The library lowers it where tokenizer_config.json does not say; what that says is done."""
    folder = make()
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    if is_told is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": is_told}))
    found = tokens(load(folder), "Marta of Zürich")
    assert (found == expected) == (is_told is not True)
    assert found[0] == ("mar" if is_told else "Mar")


def test_an_uncased_vocabulary_is_lowered(make: Callable[..., Path]) -> None:
    folder = make("bert-uncased")
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    path = folder / "vocab.txt"
    names = path.read_text(encoding="utf-8").split("\n")
    # As in a vocabulary that was made of lowered text, every piece has its number.
    kept = [name if name.startswith("[") else name.lower() for name in names]
    unused = [f"[unused{place}]" for place in range(len(names))]
    lines = [n if n not in kept[:i] else unused[i] for i, n in enumerate(kept)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert tokens(load(folder), "Marta of Zürich") == expected


@pytest.mark.parametrize("says", [None, {"tokenizer_class": "BertTokenizer"}])
def test_a_document_of_a_cased_tokenizer_keeps_its_case(
    make: Callable[..., Path], says: dict[str, str] | None
) -> None:
    folder = make()
    expected = tokens(load(folder), "Marta of Zürich")
    (folder / "tokenizer_config.json").unlink()
    if says is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(says))
    assert tokens(load(folder), "Marta of Zürich") == expected


def test_a_sentencepiece_model_alone_is_told_how_to_become_a_tokenizer(
    make: Callable[..., Path],
) -> None:
    folder = make("deberta-v3")
    take_tokenizer(folder)
    (folder / "spm.model").write_bytes(b"\x0a\x05\x0a\x01a")
    says = refusal(folder)
    assert says.startswith("its tokenizer is there as spm.model alone, which takes libraries")
    assert "does without; write a tokenizer.json beside it once, where sentencepiece and" in says
    assert "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)" in says
    (folder / "spm.model").write_bytes(POINTER)
    assert refusal(folder).startswith("its spm.model is a Git LFS pointer")
    (folder / "spm.model").write_bytes(b"\x0a\x05\x0a\x01a")
    (folder / "spm.model").rename(folder / "spiece.model")
    assert "does without; rename it to spm.model and write a tokenizer.json" in refusal(folder)


def test_a_pad_token_that_was_added_without_weights_is_fine(make: Callable[..., Path]) -> None:
    folder = make("deberta-v3")
    text = f"{SENTENCES[0]} [FILL] {SENTENCES[1]}"
    expected = entities_of(tagger_of(folder), text)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[FILL]"})
    tokenizer.save_pretrained(folder)
    tagger = tagger_of(folder)
    assert tagger.tokenizer.token_to_id("[FILL]") == 298
    assert load(folder).pad_id == 0
    # Windows of many lengths, so that the short ones are filled up.
    assert entities_of(tagger, text) == expected
    texts = " ".join(SENTENCES) * 3
    assert entities_of(tagger, texts) == entities_of(tagger_of(tiny_folder("deberta-v3")), texts)


def test_weights_may_be_padded_to_a_round_number(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "padded")
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    model.resize_token_embeddings(640)
    model.save_pretrained(folder)
    assert load(folder).network.get_input_embeddings().num_embeddings == 640


def test_a_tokenizer_of_few_pieces_is_not_that_of_the_weights(make: Callable[..., Path]) -> None:
    folder = make()
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    model.resize_token_embeddings(1_200)
    model.save_pretrained(folder)
    assert "its tokenizer knows 553 pieces, its weights 1200; put the tokenizer" in refusal(folder)


def test_a_tokenizer_of_another_kind_and_fewer_pieces_is_refused(
    make: Callable[..., Path],
) -> None:
    folder = make("bert-cased")
    for path in tiny_folder("roberta").glob("token*"):
        shutil.copy(path, folder)
    assert "its tokenizer knows 420 pieces, its weights 553; put the tokenizer" in refusal(folder)


def test_a_vocabulary_that_is_cut_off_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    as_lines(folder)
    names = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(names[:330]), encoding="utf-8")
    assert "its tokenizer knows 330 pieces, its weights 553; put the tokenizer" in refusal(folder)


def test_a_tokenizer_to_which_all_is_unknown_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    as_lines(folder)
    names = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(names[:5] + [f"q{n}" for n in range(548)]))
    assert refusal(folder).startswith("to its tokenizer 100% of a text are unknown, in")


def test_a_document_without_its_merges_is_refused(make: Callable[..., Path]) -> None:
    folder = make("roberta")
    document = json.loads((folder / "tokenizer.json").read_text())
    document["model"]["merges"] = []
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert refusal(folder).startswith("its tokenizer never uses most of its own pieces")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"tokenizer_class": 5}, "tokenizer_class in its tokenizer_config.json is a number; it"),
        ({"padding_side": "middle"}, 'is "middle"; it must be "right" or "left"'),
        ({"truncation_side": None}, 'is null; it must be "right" or "left"'),
        ({"added_tokens_decoder": "x"}, "is a text; it must give numbers their tokens"),
        ({"added_tokens_decoder": {"x": {"content": "<a>"}}}, "is wrong at 'x'; it must give"),
        ({"added_tokens_decoder": {"5": "<a>"}}, "is wrong at '5'; it must give"),
        (
            {"tokenizer_class": "XLMRobertaTokenizer"},
            "names the class XLMRobertaTokenizer, which makes pieces by Unigram, and its "
            "tokenizer.json makes them by WordPiece; put both files of the same tokenizer",
        ),
    ],
)
def test_a_tokenizer_s_configuration_that_cannot_be_followed_is_named(
    make: Callable[..., Path], values: dict[str, Any], says: str
) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", **values)
    assert says in refusal(folder)


def test_an_added_token_without_a_number_is_named(make: Callable[..., Path]) -> None:
    folder = make()
    (folder / "added_tokens.json").write_text('{"<x>": "a"}')
    assert refusal(folder).startswith("its added_tokens.json gives the token '<x>' a text for a")


def test_a_document_whose_windows_ask_for_embeddings_that_are_not_there_is_refused(
    make: Callable[..., Path],
) -> None:
    folder = make()
    document = json.loads((folder / "tokenizer.json").read_text())
    document["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [99_999]
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert refusal(folder).startswith("its tokenizer counts to token 99999, its weights know")


def test_a_document_that_the_library_panics_at_is_named(make: Callable[..., Path]) -> None:
    folder = make("xlm-roberta")
    empty = {"type": "Precompiled", "precompiled_charsmap": ""}
    change(folder, "tokenizer.json", normalizer=empty)
    assert refusal(folder).startswith(
        f"tokenizers {tokenizers.__version__} cannot read normalizer in its tokenizer.json, which "
        "names Precompiled (Precompi"
    )


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("bert-cased", "RoFormerTokenizer"),
        ("bert-cased", "BertJapaneseTokenizer"),
        ("roberta", "MarkupLMTokenizer"),
    ],
)
def test_a_class_that_needs_more_than_the_document_is_named(
    make: Callable[..., Path], family: str, kind: str
) -> None:
    folder = make(family)
    expected = tokens(load(folder), "Marta of Zürich")
    change(folder, "tokenizer_config.json", tokenizer_class=kind)
    says = refusal(folder)
    assert says.startswith(f"the class of its tokenizer, {kind} (tokenizer_class), cannot be used")
    assert says.endswith(
        'write "tokenizer_class": "PreTrainedTokenizerFast" in its tokenizer_config.json, which '
        "reads tokenizer.json as it is"
    )
    change(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    assert tokens(load(folder), "Marta of Zürich") == expected


def test_a_family_whose_class_cannot_be_used_is_told_the_same(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", tokenizer_class=...)
    config = transformers.RoFormerConfig(
        vocab_size=553, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, pad_token_id=0,
        id2label=dict(enumerate(LABELS)), label2id={},
    )  # fmt: skip
    transformers.RoFormerForTokenClassification(config).save_pretrained(folder)
    assert refusal(folder).startswith("the class of its tokenizer, RoFormerTokenizer (tokenizer_cl")
    change(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    assert load(folder).unknown_id == 1


def test_a_special_token_that_is_an_object_without_its_type_is_named(
    make: Callable[..., Path],
) -> None:
    folder = make()
    token = {"content": "[MASK]", "lstrip": True, "normalized": False, "special": True}
    change(folder, "tokenizer_config.json", mask_token=token)
    assert refusal(folder) == (
        'mask_token in its tokenizer_config.json is an object without "__type": "AddedToken"; add '
        "that to it, or write the token's text alone"
    )
    change(folder, "tokenizer_config.json", mask_token={**token, "__type": "AddedToken"})
    assert load(folder).unknown_id == 1
    change(folder, "tokenizer_config.json", mask_token="[MASK]")
    assert load(folder).unknown_id == 1


def test_a_configuration_that_no_class_can_be_made_of_is_told_with_its_reason(
    make: Callable[..., Path],
) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", extra_special_tokens=5)
    says = refusal(folder)
    assert says.startswith("its tokenizer cannot be made from tokenizer.json and tokenizer_config.")
    assert "; copy or download both again, or put a tokenizer.json that" in says


def add_token(folder: Path, content: str, *, normalized: bool) -> None:
    """Add a token with weights of its own, as a person does who trains with it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([AddedToken(content, normalized=normalized)])
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)


@pytest.mark.parametrize("token", ["\n", " \t"])
def test_an_added_token_that_the_normalizer_removes_is_named(
    make: Callable[..., Path], token: str
) -> None:
    folder = make("deberta-v3")
    add_token(folder, token, normalized=True)
    assert refusal(folder).startswith(f"its tokenizer has the added token {token!r}, of which its")
    # The remedy that it names.
    added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    decoder = json.loads((folder / "tokenizer_config.json").read_text()).get(
        "added_tokens_decoder", {}
    )
    for one in (*added, *decoder.values()):
        one["normalized"] = False
    change(folder, "tokenizer.json", added_tokens=added)
    change(folder, "tokenizer_config.json", added_tokens_decoder=decoder or ...)
    assert tokens(load(folder), "Marta")[0] == "▁Ma"


def test_an_added_token_of_white_space_that_stays_is_fine(make: Callable[..., Path]) -> None:
    folder = make("bert-cased")
    add_token(folder, "\n", normalized=True)
    assert tokens(load(folder), "Marta of") == ["Mar", "##ta", " ", "of"]


class PanicException(BaseException):
    """As Rust's, which cannot be imported."""


@pytest.mark.parametrize("call", ["check_case", "_special_ids"])
def test_a_tokenizer_that_breaks_later_is_refused(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def broken(*_: object) -> None:
        raise PanicException("bad split")

    monkeypatch.setattr(loaded_model, call, broken)
    assert refusal(tiny_folder()).startswith("its tokenizer cannot read text (bad split); put the")
