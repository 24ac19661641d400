"""Fused layers: the same logits as a model's own, in every family; and the model comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from consumer.tagging.engine.cuda import varlen_layer
from consumer.tagging.engine.cuda.engine import try_way
from consumer.tagging.engine.cuda.varlen_attention import PADDED
from consumer.tagging.engine.cuda.varlen_kernels import Kernels, has_triton, kernels_of
from consumer.tagging.engine.cuda.varlen_layer import VarlenLayer, fuse_network
from consumer.tagging.engine.encoder_layers import LayerWeights
from consumer.tagging.engine.packed_attention import CannotPack
from tests.support.engines.host_device import load_tiny
from tests.support.engines.varlen_logits import LENGTHS, logits, with_biases
from tests.support.models.tiny_models import PACKED_FAMILIES


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_fused_layers_give_the_logits_of_a_models_own(family: str) -> None:
    model = with_biases(family)
    expected, found = logits(model, False), logits(model, True)
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    # And the model is as it was.
    assert torch.equal(logits(model, False), expected)
    assert not [one for one in model.network.modules() if isinstance(one, VarlenLayer)]


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta"])
def test_a_half_is_fused_where_rounding_allows(family: str) -> None:
    assert try_way(with_biases(family, "bfloat16"), PADDED, True) is None


def test_fused_layers_that_answer_otherwise_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_biases("bert-cased", "bfloat16")

    def no_shift(weights: LayerWeights) -> torch.Tensor:
        return torch.zeros(weights.out.out_features)

    monkeypatch.setattr(varlen_layer, "entry_shift", no_shift)
    assert "from the model's own" in (try_way(model, PADDED, True) or "")
    assert try_way(model, PADDED, False) is None


def test_a_layer_says_so_when_it_is_called_otherwise() -> None:
    model = load_tiny()
    undo = fuse_network(model.network, kernels_of(PADDED))
    with pytest.raises(CannotPack):
        model.network(input_ids=torch.arange(5)[None])
    undo()
    model.network(input_ids=torch.arange(5)[None])


def test_embeddings_of_another_form_stay_the_models_own() -> None:
    def none(*_: object) -> torch.Tensor:
        raise AssertionError("not to be called")

    model = with_biases("bert-cased")
    expected = logits(model, False)
    del model.network.base_model.embeddings.LayerNorm
    model.network.base_model.embeddings.norm = torch.nn.Identity()
    plain = kernels_of(PADDED)
    own = model.network.base_model.embeddings
    undo = fuse_network(model.network, Kernels(plain.attend, plain.norm, none))
    assert model.network.base_model.embeddings is own
    undo()
    assert expected.shape == (sum(LENGTHS), 9)


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
def test_the_kernels_in_triton_compute_the_same() -> None:
    """By Triton's interpreter, which must be chosen before it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.engines.triton_interpreted"],
        cwd=Path(__file__).parents[4],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all the same"
