"""Configurations of models: other heads, wrong values, and what may be missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.support.models.spoiled_folders import (
    change,
    label,
    load,
    refusal,
    tagger_of,
)
from tests.support.models.tiny_models import (
    LABELS,
    SENTENCES,
    entities_of,
    tiny_folder,
    tiny_tagger,
)


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "deberta-v3", "roberta"])
@pytest.mark.parametrize("head", ["SequenceClassification", "QuestionAnswering", "MaskedLM"])
def test_a_model_with_another_head_is_refused(
    make: Callable[..., Path], family: str, head: str
) -> None:
    folder = make(family)
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = config.architectures[0].replace("TokenClassification", head)
    if head == "QuestionAnswering":
        config.num_labels = 2
    # With the labels of a tagger, so that nothing but the head can tell.
    getattr(transformers, kind)(config).save_pretrained(folder)
    label(folder, *LABELS)
    assert f"its config.json names the architecture {kind}, which has no head" in refusal(folder)
    change(folder, architectures=...)
    if (family, head) != ("bert-cased", "SequenceClassification"):
        assert "another kind of model" in (says := refusal(folder)) or "no trained token" in says


def test_a_head_of_more_than_a_token_classifier_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    weights = load_file(folder / "model.safetensors")
    weights["crf.transitions"] = torch.zeros(9, 9)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "that no token classifier of transformers has (crf.transitions)" in refusal(folder)


@pytest.mark.parametrize("value", [None, "BertForTokenClassification", ...])
def test_an_architecture_may_be_missing_or_a_text(make: Callable[..., Path], value: Any) -> None:
    folder = make()
    change(folder, architectures=value)
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")


def test_an_architecture_that_is_no_name_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, architectures={"0": "Bert"})
    assert "architectures in its config.json is an object; it must be a list" in refusal(folder)


def test_a_configuration_may_hold_what_json_does_not_know(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, layerdrop=float("nan"))
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("512", '"512"'), (0, "0"), (-1, "-1"), (True, "true"), ([64], "a list"), (float("nan"), "N")],
)
def test_a_longest_input_that_is_no_number_is_refused(
    make: Callable[..., Path], value: Any, shown: str
) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", model_max_length=value)
    says = refusal(folder)
    assert says.startswith(f"model_max_length in its tokenizer_config.json is {shown}")
    assert says.endswith("it must be a number of tokens without quotes, such as 512")


@pytest.mark.parametrize("value", [None, 64, 64.0, 1e30, float("inf"), ...])
def test_a_longest_input_may_be_missing_or_absurd(make: Callable[..., Path], value: Any) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", model_max_length=value)
    assert load(folder).max_tokens == 64


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": ...}, "config.json must name the family of the model under model_type"),
        ({"model_type": 3}, 'such as "bert", not a number'),
        (
            {"model_type": "gliner"},
            "names the family 'gliner' under model_type, which",
        ),
        ({"hidden_size": "32"}, "cannot be used (Validation error for field 'hidden_size'"),
        ({"num_hidden_layers": 1}, "it says 1 layers (num_hidden_layers), and they are 2; put"),
        ({"num_hidden_layers": 0}, "it says 0 layers (num_hidden_layers), and they are 2; put"),
        ({"hidden_size": 64}, "its config.json is of another model than its weights: bert."),
        ({"vocab_size": 10}, "is of shape (553, 32), and would be (10, 32); put the config.json"),
    ],
)
def test_a_configuration_of_another_model_is_named(
    make: Callable[..., Path], changes: dict[str, Any], says: str
) -> None:
    folder = make()
    change(folder, **changes)
    assert says in refusal(folder)


@pytest.mark.parametrize("family", ["bert-cased", "deberta-v3"])
def test_an_activation_that_there_is_none_is_named(make: Callable[..., Path], family: str) -> None:
    folder = make(family)
    change(folder, hidden_act="nonsense")
    assert refusal(folder) == (
        "its config.json names 'nonsense', which transformers does not know; correct it, or copy "
        "or download it again"
    )


def test_an_attention_that_is_no_name_is_left_to_the_library(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, attn_implementation=["eager"])
    assert entities_of(tagger_of(folder), SENTENCES[0]) == entities_of(
        tagger_of(tiny_folder()), SENTENCES[0]
    )


@pytest.mark.parametrize("family", ["bert-cased", "roberta"])
@pytest.mark.parametrize("value", [False, True, None])
def test_a_key_of_old_versions_is_not_read(
    make: Callable[..., Path], family: str, value: Any
) -> None:
    folder = make(family)
    change(folder, use_return_dict=value)
    assert entities_of(tagger_of(folder), SENTENCES[0]) == entities_of(
        tiny_tagger(family), SENTENCES[0]
    )


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def of_transformers() -> Iterator[list[logging.LogRecord]]:
    """What transformers logs."""
    handler = Kept()
    logger = transformers.logging.get_logger("transformers")
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)


def test_a_key_that_cannot_be_set_is_named_and_no_configuration_is_shown(
    make: Callable[..., Path], of_transformers: list[logging.LogRecord]
) -> None:
    folder = make()
    change(folder, is_heterogeneous=False)
    assert "config.json cannot be used (property 'is_heterogeneous' of" in refusal(folder)
    assert not of_transformers


@pytest.mark.parametrize("family", ["bert-cased", "xlm-roberta"])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("value", ["auto", "torch.float16", "nonsense", None, ["float16"]])
def test_the_precision_of_a_configuration_says_nothing(
    make: Callable[..., Path], family: str, key: str, value: Any
) -> None:
    folder = make(family)
    change(folder, dtype=..., torch_dtype=...)
    change(folder, **{key: value})
    assert entities_of(tagger_of(folder), SENTENCES[0]) == entities_of(
        tiny_tagger(family), SENTENCES[0]
    )


@pytest.mark.parametrize(
    ("value", "by"),
    [
        ({"quant_method": "gptq", "bits": 4}, " by gptq"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, " by bitsandbytes"),
        ({"load_in_8bit": True}, ""),
        ({}, ""),
        ("int8", " by int8"),
    ],
)
def test_quantized_weights_are_refused(make: Callable[..., Path], value: Any, by: str) -> None:
    folder = make()
    change(folder, quantization_config=value)
    assert refusal(folder) == (
        f"its config.json says that its weights are quantized{by} (quantization_config), and only "
        "whole ones are read; choose the model that it was made from, which --dtype int8 "
        "quantizes here, or remove quantization_config where its weights are float32, float16 or "
        "bfloat16"
    )


def test_a_missing_padding_token_that_positions_are_counted_from_is_named(
    make: Callable[..., Path],
) -> None:
    folder = make("roberta")
    change(folder, pad_token_id=None)
    assert refusal(folder).startswith(
        "its config.json says no pad_token_id, and models of its family count positions from it"
    )
    without = make("bert-cased")
    change(without, pad_token_id=None)
    assert load(without).pad_id == 0


def write_padding_row(folder: Path, value: float) -> None:
    """The row of the table of positions that padding has."""
    weights = load_file(folder / "model.safetensors")
    weights["roberta.embeddings.position_embeddings.weight"][1] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta"])
@pytest.mark.parametrize("said", [0, 7])
def test_a_padding_token_that_the_model_was_not_trained_with_is_named(
    make: Callable[..., Path], family: str, said: int
) -> None:
    folder = make(family)
    # Drawn as zeros, and never trained.
    write_padding_row(folder, 0.0)
    assert load(folder).first_position == 2
    change(folder, pad_token_id=said)
    assert refusal(folder) == (
        f"its config.json says pad_token_id {said}, from which models of its family count "
        "positions, and its tokenizer has 1, as the weights do; write 1 in config.json"
    )


def test_a_model_may_be_trained_with_another_padding_token_than_its_tokenizer_has(
    make: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make("roberta")
    write_padding_row(folder, 0.5)
    change(folder, pad_token_id=0)
    assert load(folder).first_position == 1
    assert "right only if it was trained like that" in caplog.text
