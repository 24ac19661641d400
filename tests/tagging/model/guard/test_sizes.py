"""Absurd sizes and foreign code in a configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from consumer.contracts.errors import ModelError
from consumer.tagging.model import loaded_model
from consumer.tagging.model.config import read_config, read_tokenizer_config
from consumer.tagging.model.guard.sizes import MOST, check_network, check_no_code, check_sizes
from consumer.tagging.select import load_model
from tests.support.models.tiny_models import tiny_folder


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000, which may be at most 1,000"),
        ({"n_layers": 2_000}, "n_layers 2000, which may be at most 1,000"),
        ({"n_layer": 2_000}, "n_layer 2000, which may be at most 1,000"),
        ({"num_hidden_layers": -1}, "num_hidden_layers -1, which must be at least 0"),
        ({"hidden_size": 0}, "hidden_size 0, which must be at least 1"),
        ({"hidden_size": -768}, "hidden_size -768, which must be at least 1"),
        ({"num_attention_heads": 0}, "num_attention_heads 0"),
        ({"vocab_size": 10**12}, "vocab_size 1000000000000, which may be at most 10,000,000"),
        ({"max_position_embeddings": 1e30}, "max_position_embeddings 1e+30"),
        ({"d_ff": 10**9}, "d_ff 1000000000"),
        ({"type_vocab_size": 10**9}, "type_vocab_size"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers 1000000000"),
    ],
)
def test_an_absurd_size_is_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError) as raised:
        check_sizes("M", "config.json", values)
    assert f"its config.json says {says}" in str(raised.value)


def test_what_configurations_say_is_taken() -> None:
    check_sizes(
        "M",
        "config.json",
        {
            "vocab_size": 250_002,
            "pad_token_id": -1,
            "eos_token_id": 10**9,
            "max_relative_positions": -1,
            "position_buckets": 256,
            "sliding_window": -1,
            "hidden_act": "gelu",
            "is_decoder": False,
            "layer_norm_eps": 1e-12,
            "num_hidden_layers": 24,
            "rope_theta": 160_000_000.0,
            "layers": None,
            "id2label": {"0": "O"},
        },
    )


def test_code_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "model"))
    for file, read in (
        ("config.json", read_config),
        ("tokenizer_config.json", read_tokenizer_config),
    ):
        path = folder / file
        before = json.loads(path.read_text())
        path.write_text(json.dumps(before | {"auto_map": {"AutoModel": "evil.Model"}}))
        with pytest.raises(ModelError) as raised:
            read("M", folder)
        assert f'its {file} asks for code of its own (auto_map: "evil.Model")' in str(raised.value)
        path.write_text(json.dumps(before | {"auto_map": {}}))
        read("M", folder)
    check_no_code("M", "config.json", {"auto_map": None})
    with pytest.raises(ModelError, match="asks for code"):
        check_no_code("M", "config.json", {"auto_map": ["a.B", None]})


def test_a_network_of_another_size_is_refused_before_it_is_built() -> None:
    with torch.device("meta"):
        network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 2))
    shapes = {key: tuple(weight.shape) for key, weight in network.named_parameters()}
    check_network("M", network, shapes)
    check_network("M", network, {key: shapes[key] for key in ("0.weight", "0.bias")})
    with pytest.raises(ModelError, match=r"0.weight is of shape \(6, 4\), and would be \(5, 4\)"):
        check_network("M", network, shapes | {"0.weight": (6, 4)})
    with torch.device("meta"):
        huge = torch.nn.ModuleList([*network, torch.nn.Embedding(MOST, 10)])
    with pytest.raises(ModelError, match="it describes 100,000,000 numbers that its weights"):
        check_network("M", huge, shapes)


@pytest.mark.parametrize("family", ["bert-cased", "distilbert"])
def test_a_configuration_of_a_huge_network_takes_no_memory(family: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(family), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": MOST}))
    with pytest.raises(ModelError, match=r"config\.json is of another model than its weights"):
        load_model(str(folder), "", "cpu", "float32", 0)


def test_weights_that_memory_does_not_hold_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loaded_model, "free_host_memory", lambda: 1_000)
    monkeypatch.setattr(loaded_model, "load_config", None)
    with pytest.raises(ModelError, match="has 0 MiB of memory free"):
        load_model(str(tiny_folder()), "", "cpu", "float32", 0)
