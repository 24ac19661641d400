"""Which attention a CUDA device runs: the fast one where it can, and the reason where it cannot."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from consumer.tagging.engine.cuda.support import CudaFacts, choose_attention, read_facts
from consumer.tagging.engine.cuda.varlen_attention import FLASH, PADDED
from consumer.tagging.engine.cuda.varlen_kernels import TRITON, has_triton
from tests.support.engines.host_device import load_tiny

H100 = CudaFacts((9, 0), torch.bfloat16, 64, True, True)


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
    choice = choose_attention(facts, triton=False)
    assert choice.names == (FLASH, PADDED)
    assert choice.reason == ""


@pytest.mark.parametrize(
    ("facts", "is_first"),
    [
        (H100, True),
        (replace(H100, capability=(8, 0), dtype=torch.float16), True),
        (replace(H100, head_size=32), True),
        (replace(H100, head_size=128), True),
        (replace(H100, has_flash_operator=False), True),
        (replace(H100, has_triton=False), False),
        (replace(H100, head_size=96), False),
        (replace(H100, head_size=8), False),
        (replace(H100, dtype=torch.float32), False),
        (replace(H100, capability=(7, 5)), False),
    ],
)
def test_triton_goes_before_the_others_where_it_runs(facts: CudaFacts, is_first: bool) -> None:
    names = choose_attention(facts).names
    assert (names[0] == TRITON) == is_first
    assert (TRITON in names) == is_first
    assert names[-1] == PADDED
    assert names == ((TRITON,) * is_first) + choose_attention(facts, triton=False).names


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
    choice = choose_attention(facts, triton=False)
    assert choice.names == (PADDED,)
    assert reason in choice.reason


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta"])
def test_the_facts_of_a_model(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    facts = read_facts(load_tiny(family, "bfloat16"))
    assert facts == CudaFacts((8, 6), torch.bfloat16, 8, True, has_triton())


def test_a_head_size_that_a_config_names_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    config = SimpleNamespace(hidden_size=768, num_attention_heads=12, head_dim=96)
    network = SimpleNamespace(config=config, dtype=torch.float16)
    model = SimpleNamespace(network=network, device=torch.device("cuda", 0))
    assert read_facts(model).head_size == 96  # type: ignore[arg-type]
