"""Networks of folders as people have them: what is not used is said, what is missing is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.models.spoiled_folders import change, load, refusal, rewrite, tagger_of
from tests.support.models.tiny_families import folder_of
from tests.support.models.tiny_models import SENTENCES, entities_of, tiny_folder

TEXT = " ".join(SENTENCES[:2])

Make = Callable[..., Path]


def rename(folder: Path, renamed: Callable[[str], str]) -> None:
    rewrite(folder, lambda all_: {renamed(key): weight for key, weight in all_.items()})


def add(folder: Path, *parts: str) -> None:
    rewrite(folder, lambda all_: all_ | {part: torch.zeros(9) for part in parts})


@pytest.mark.parametrize("family", ["bert-cased", "roberta", "deberta-v3", "distilbert"])
def test_parts_that_are_not_used_are_said(
    make: Make, caplog: pytest.LogCaptureFixture, family: str
) -> None:
    folder = make(family)
    add(folder, "hidden2tag.weight", "dense.weight", "dense.bias", "layer_norm.weight")
    assert entities_of(tagger_of(folder), TEXT) == entities_of(tagger_of(tiny_folder(family)), TEXT)
    assert (
        "its weights have parts that no token classifier of its family has, and that are not used: "
        "dense.bias, dense.weight, hidden2tag.weight and 1 more; if it was trained"
    ) in caplog.text


@pytest.mark.parametrize(
    "part", ["conv1d.weight", "attention.in_proj_weight", "linear.weight", "classifier2.weight"]
)
def test_a_part_by_any_name_is_said(
    make: Make, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    folder = make()
    add(folder, part)
    load(folder)
    assert f"that are not used: {part}; if it was trained" in caplog.text


@pytest.mark.parametrize(("family", "base"), [("bert-cased", "bert"), ("roberta", "roberta")])
def test_what_is_left_over_from_other_heads_and_trainings_is_not_worth_a_word(
    make: Make, caplog: pytest.LogCaptureFixture, family: str, base: str
) -> None:
    folder = make(family)
    add(
        folder,
        *(f"{base}.pooler.dense.weight", f"{base}.embeddings.position_ids"),
        *("cls.predictions.bias", "cls.seq_relationship.weight", "lm_head.dense.weight"),
        *("discriminator_predictions.dense.bias", "generator_lm_head.bias", "vocab_projector.bias"),
        *("predictions.bias", "sop_classifier.classifier.bias", "embed_out.weight", "decoder.bias"),
        *("loss_fct.weight", "criterion.weight", "lm_loss.bias", "pred_layer.proj.bias"),
        f"{base}.encoder.layer.0.attention.self.rotary_emb.inv_freq",
        *("transformer.h.0.attn.bias", "gpt_neox.layers.0.attention.masked_bias"),
    )
    load(folder)
    assert not caplog.records


@pytest.mark.parametrize(
    ("family", "key"),
    [("GPT2", "n_layer"), ("XLM", "n_layers"), ("NomicBert", "num_hidden_layers")],
)
def test_fewer_layers_than_the_weights_have_are_refused(
    tmp_path: Path, family: str, key: str
) -> None:
    """By whatever name the family has for a layer."""
    folder = tmp_path / family
    shutil.copytree(folder_of(family), folder)
    values: dict[str, Any] = {key: 1}
    change(folder, **values)
    assert refusal(folder) == (
        f"its config.json is of another model than its weights: it says 1 layers ({key}), and they "
        "are 2; put the config.json that belongs to the weights beside them"
    )


def test_an_architecture_of_somebodys_own_is_said(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make()
    change(folder, architectures=["BertCRFForTokenClassification"])
    load(folder)
    assert (
        "its config.json names the architecture BertCRFForTokenClassification, which transformers"
    ) in caplog.text
    assert "it is run as a token classifier of the family bert, and if" in caplog.text
    caplog.clear()
    change(folder, architectures=["MyForTokenClassification", "BertForTokenClassification"])
    load(folder)
    change(folder, architectures=[])
    load(folder)
    assert not caplog.records


@pytest.mark.parametrize("family", ["bert-cased", "roberta", "deberta-v3", "distilbert"])
@pytest.mark.parametrize(
    "values",
    [
        {"return_dict": False},
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "flash_attention_2"},
    ],
)
def test_what_the_library_would_be_told_changes_nothing(
    make: Make, family: str, values: dict[str, Any]
) -> None:
    folder = make(family)
    change(folder, **values)
    assert entities_of(tagger_of(folder), TEXT) == entities_of(tagger_of(tiny_folder(family)), TEXT)


def test_positions_are_counted_from_a_padding_token_that_is_none(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """RoBERTa's first position is its number + 1, and 0 with none."""
    folder = make("roberta")
    change(folder, pad_token_id=-1)
    model = load(folder)
    assert model.first_position == 0
    assert "its config.json says pad_token_id -1, from which" in caplog.text
    ids = torch.arange(5, 15)[None]
    with torch.inference_mode():
        by_itself = model.network(input_ids=ids).logits
        given = model.network(input_ids=ids, position_ids=torch.arange(10)[None]).logits
    assert torch.equal(by_itself, given)
    assert len(entities_of(tagger_of(folder), TEXT)) > 3
    # The weights of a model that was trained with another one say so.
    table = "roberta.embeddings.position_embeddings.weight"
    rewrite(folder, lambda all_: all_ | {table: all_[table].index_fill(0, torch.tensor([1]), 0.0)})
    assert refusal(folder).endswith("has 1, as the weights do; write 1 in config.json")


@pytest.mark.parametrize("number", [100_000, -100_000])
def test_a_padding_token_beyond_the_tables_is_named(make: Make, number: int) -> None:
    folder = make("roberta")
    change(folder, pad_token_id=number)
    says = refusal(folder)
    assert says.startswith(
        f"its config.json says pad_token_id {number}, which is no row of a table"
    )
    assert says.endswith("write the number that its tokenizer has for the padding token")


@pytest.mark.parametrize("family", ["bert-cased", "roberta", "deberta-v3", "distilbert"])
@pytest.mark.parametrize("prefix", ["net.", "base_model.model.", "module.my_model."])
def test_weights_of_a_module_around_the_model_are_read(
    make: Make, family: str, prefix: str
) -> None:
    folder = make(family)
    rename(folder, lambda key: prefix + key)
    assert entities_of(tagger_of(folder), TEXT) == entities_of(tagger_of(tiny_folder(family)), TEXT)


@pytest.mark.parametrize(
    ("family", "base", "kind"),
    [
        ("bert-cased", "bert", "BertForTokenClassification"),
        ("deberta-v3", "deberta", "DebertaV2ForTokenClassification"),
    ],
)
def test_weights_under_another_name_than_the_familys_are_named(
    make: Make, family: str, base: str, kind: str
) -> None:
    folder = make(family)
    rename(folder, lambda key: f"encoder.{key.removeprefix(f'{base}.')}" if base in key else key)
    says = refusal(folder)
    assert says.startswith(f"its weights have under encoder. what transformers has under {base}., ")
    assert f"put the model with its head into a {kind} and save that with save_pret" in says


@pytest.mark.parametrize("family", ["bert-cased", "roberta"])
def test_a_head_of_which_a_part_is_missing_is_told_from_none(make: Make, family: str) -> None:
    folder = make(family)
    rewrite(folder, lambda all_: {k: v for k, v in all_.items() if k != "classifier.bias"})
    assert refusal(folder) == (
        "its weights lack a part of the head, classifier.bias; save it again with save_pretrained"
    )
    rewrite(folder, lambda all_: {k: v for k, v in all_.items() if k != "classifier.weight"})
    assert refusal(folder).startswith("it has no trained token-classification head; choose")
