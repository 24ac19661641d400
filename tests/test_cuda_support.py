"""Which attention a CUDA device runs: the fast one where it can, and the reason where it cannot."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from consumer.tagging.cuda_support import CudaFacts, choose_attention, read_facts
from consumer.tagging.varlen_attention import FLASH, PADDED
from tests.host_device import load_tiny

H100 = CudaFacts((9, 0), torch.bfloat16, 64, True)


@pytest.mark.parametrize(
    "facts",
    [
        H100,
        replace(H100, capability=(8, 0), dtype=torch.float16),
        replace(H100, capability=(12, 0), head_size=256),
        replace(H100, head_size=32),
    ],
)
def test_flash_attention_where_it_runs(facts: CudaFacts) -> None:
    assert choose_attention(facts).name == FLASH
    assert choose_attention(facts).reason == ""


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(H100, capability=(7, 5)), "needs capability 8.0, this is 7.5"),
        (replace(H100, dtype=torch.float32), "takes bfloat16 and float16, not float32"),
        (replace(H100, head_size=20), "heads of 8, 16, ... 256, not 20"),
        (replace(H100, head_size=264), "heads of 8, 16, ... 256, not 264"),
        (replace(H100, has_flash_operator=False), "no variable-length attention; 2.11 has"),
    ],
)
def test_plain_attention_elsewhere_and_why(facts: CudaFacts, reason: str) -> None:
    assert choose_attention(facts).name == PADDED
    assert reason in choose_attention(facts).reason


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta"])
def test_the_facts_of_a_model(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    facts = read_facts(load_tiny(family, "bfloat16"))
    assert facts == CudaFacts((8, 6), torch.bfloat16, 8, True)


def test_a_head_size_that_a_config_names_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    config = SimpleNamespace(hidden_size=768, num_attention_heads=12, head_dim=96)
    network = SimpleNamespace(config=config, dtype=torch.float16)
    model = SimpleNamespace(network=network, device=torch.device("cuda", 0))
    assert read_facts(model).head_size == 96  # type: ignore[arg-type]
