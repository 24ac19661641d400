"""`Bert` against transformers' own modules, and which checkpoints it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from consumer.contracts.errors import ModelError
from consumer.tagging.engine.packed_attention import PACKED, packed_logits
from consumer.tagging.model.attention_functions import attention_of, use_attention
from consumer.tagging.model.bert import Bert, is_ordinary, load_bert
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from tests.support.models.spoiled_folders import rewrite
from tests.support.models.tiny_models import save_tiny_model, tiny_folder


def load_both(folder: Path, dtype: str = "float32") -> tuple[LoadedModel, LoadedModel]:
    own = load_model(str(folder), "", "cpu", dtype, 1)
    theirs = load_model(str(folder), "", "cpu", dtype, 1, modules_of_transformers=True)
    assert isinstance(own.network, Bert)
    assert isinstance(theirs.network, BertForTokenClassification)
    return own, theirs


def draw_ids(model: LoadedModel, *shape: int) -> torch.Tensor:
    vocabulary = model.network.get_input_embeddings().num_embeddings
    return torch.randint(1, vocabulary, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", ["bert-cased", "bert-case-marks"])
@torch.inference_mode()
def test_its_logits_are_those_of_transformers_to_the_last_bit(family: str, dtype: str) -> None:
    own, theirs = load_both(tiny_folder(family), dtype)
    for rows, tokens in ((1, 1), (1, 37), (4, 64)):
        ids = draw_ids(own, rows, tokens)
        assert torch.equal(own.network(ids).logits, theirs.network(input_ids=ids).logits)


@torch.inference_mode()
def test_rows_that_are_filled_up() -> None:
    own, theirs = load_both(tiny_folder())
    ids = draw_ids(own, 3, 20)
    mask = torch.tensor([[1] * 20, [1] * 7 + [0] * 13, [1] + [0] * 19])
    expected = theirs.network(input_ids=ids, attention_mask=mask).logits
    found = own.network(input_ids=ids, attention_mask=mask).logits
    assert torch.equal(found[mask.bool()], expected[mask.bool()])


@torch.inference_mode()
def test_windows_end_to_end() -> None:
    own, theirs = load_both(tiny_folder())
    ids, lengths = draw_ids(own, 60), [20, 1, 39]
    for model in (own, theirs):
        use_attention(model.network, PACKED)
    expected = packed_logits(theirs.network, ids, lengths, 0)
    assert torch.equal(packed_logits(own.network, ids, lengths, 0), expected)


def test_the_bundled_model_is_one() -> None:
    own, theirs = load_both(Path("consumer/models/minilm-l6-ner").resolve())
    with torch.inference_mode():
        ids = draw_ids(own, 2, 200)
        assert torch.equal(own.network(ids).logits, theirs.network(input_ids=ids).logits)
    expected = {name: weight.shape for name, weight in theirs.network.named_parameters()}
    assert {name: weight.shape for name, weight in own.network.named_parameters()} == expected


def test_its_attention_can_be_taken_back() -> None:
    own, _ = load_both(tiny_folder())
    before = attention_of(own.network)
    ids = draw_ids(own, 1, 9)
    with torch.inference_mode():
        expected = own.network(ids).logits
        use_attention(own.network, PACKED)
        use_attention(own.network, before)
        assert torch.equal(own.network(ids).logits, expected)


@pytest.mark.parametrize("of_transformers", [False, True])
def test_weights_are_no_part_of_the_file(tmp_path: Path, of_transformers: bool) -> None:
    """A file that is written anew must not change a worker's answers, or end it."""
    folder = save_tiny_model(tmp_path)
    model = load_model(
        str(folder), "", "cpu", "float32", 1, modules_of_transformers=of_transformers
    )
    ids = draw_ids(model, 1, 9)
    with torch.inference_mode():
        expected = model.network(input_ids=ids).logits
        with (folder / "model.safetensors").open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(size // 2)
            file.write(bytes(size - size // 2))
            file.truncate(size // 2)
        assert torch.equal(model.network(input_ids=ids).logits, expected)


def config(**changes: Any) -> BertConfig:
    made = BertConfig(architectures=["BertForTokenClassification"])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_an_ordinary_configuration() -> None:
    assert is_ordinary(config())
    assert is_ordinary(config(position_embedding_type="absolute"))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "roberta"},
        {"architectures": ["BertForSequenceClassification"]},
        {"architectures": None},
        {"hidden_act": "relu"},
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"num_attention_heads": 7},
    ],
)
def test_what_is_left_to_transformers(changes: dict[str, Any]) -> None:
    assert not is_ordinary(config(**changes))


def old_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the first checkpoints of BERT had them, and many still have."""
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): weight
        for name, weight in weights.items()
    }


def test_weights_by_old_names_are_loaded_by_transformers(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    own, _ = load_both(folder)
    rewrite(folder, old_names)
    loaded = load_model(str(folder), "", "cpu", "float32", 1)
    assert isinstance(loaded.network, BertForTokenClassification)
    ids = draw_ids(own, 1, 30)
    with torch.inference_mode():
        assert torch.equal(loaded.network(input_ids=ids).logits, own.network(ids).logits)


def test_weights_in_several_files_are_loaded_by_transformers(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    network = load_model(str(folder), "", "cpu", "float32", 1, modules_of_transformers=True).network
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").exists()
    loaded = load_model(str(folder), "", "cpu", "float32", 1)
    assert isinstance(loaded.network, BertForTokenClassification)


def test_weights_that_nobody_reads_do_no_harm(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    rewrite(
        folder,
        lambda weights: weights | {"bert.embeddings.position_ids": torch.arange(64)[None]},
    )
    assert isinstance(load_model(str(folder), "", "cpu", "float32", 1).network, Bert)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: {k: v for k, v in weights.items() if "classifier" not in k}, "no trained"),
        (lambda weights: {k: v for k, v in weights.items() if "query" not in k}, "lack 4 tensors"),
        (lambda weights: weights | {"classifier.bias": torch.zeros(3)}, "is of shape .3,.,"),
    ],
)
def test_weights_that_are_wrong_are_told_as_ever(tmp_path: Path, change: Any, message: str) -> None:
    folder = save_tiny_model(tmp_path)
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_model(str(folder), "", "cpu", "float32", 1)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    assert load_bert(tmp_path, config(), torch.float32) is None


@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_the_worker_starts_without_the_modelling_code_of_transformers(dtype: str) -> None:
    """It is half of the start: five seconds on two cores."""
    program = (
        "import json, sys\n"
        "from consumer.tagging.tagger import load_tagger\n"
        f"load_tagger(model='bundled', revision='', device='cpu', dtype={dtype!r}, threads=1,\n"
        "    aggregation='word', window_overlap_tokens=64, batch_tokens=4096)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(done.stdout))
    assert "consumer.tagging.model.bert" in modules
    slow = {"transformers.modeling_utils", "torch._dynamo", "torch._inductor", "sympy"}
    assert not slow & modules
