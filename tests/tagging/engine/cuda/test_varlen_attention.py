"""Attention of a whole pass in one call: the same as window by window, in every family."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consumer.tagging.engine.cuda import varlen_attention
from consumer.tagging.engine.cuda.pass_layout import PassLayout
from consumer.tagging.engine.cuda.varlen_attention import PADDED, padded_operator, register_varlen
from consumer.tagging.engine.cuda.varlen_program import VarlenProgram
from consumer.tagging.engine.packed_attention import CannotPack
from consumer.tagging.model.attention_functions import find_attention
from consumer.tagging.model.loaded_model import LoadedModel
from tests.support.engines.host_device import load_tiny
from tests.support.engines.window_by_window import probe, window_by_window
from tests.support.models.tiny_models import PACKED_FAMILIES

HEADS, HEAD_SIZE = 3, 8


def draw(tokens: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, tokens, HEADS, HEAD_SIZE, generator=generator)
    return query, key, value


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any),
    spare=st.integers(0, 30),
    spare_windows=st.integers(0, 3),
)
def test_the_plain_operator_attends_within_each_window(
    lengths: list[int], spare: int, spare_windows: int
) -> None:
    bounds = torch.tensor([0, *np.cumsum(lengths), *[sum(lengths)] * spare_windows])
    query, key, value = draw(sum(lengths) + spare)
    # What belongs to no window may hold anything.
    for part in (query, key, value):
        part[sum(lengths) :] = torch.nan
    found = padded_operator(query, key, value, bounds.int(), 64, 0.3)
    assert found.shape == query.shape
    expected = window_by_window(query, key, value, bounds, 0.3)
    tokens = slice(0, sum(lengths))
    assert torch.allclose(found[tokens], expected[tokens], atol=1e-5)


def test_what_is_no_number_stays_in_its_window() -> None:
    query, key, value = draw(30)
    value[12], key[17] = torch.nan, torch.inf
    bounds = torch.tensor([0, 10, 20, 30], dtype=torch.int32)
    found = padded_operator(query, key, value, bounds, 16, 0.3)
    assert found[:10].isfinite().all()
    assert found[10:20].isnan().any()
    assert found[20:].isfinite().all()


def program_logits(
    model: LoadedModel, windows: list[NDArray[np.int32]], program: VarlenProgram
) -> torch.Tensor:
    layout = PassLayout(model.pad_id, model.first_position)
    shape = layout.shape(windows)
    inputs = np.empty(shape.inputs, dtype=np.int32)
    layout.write(windows, shape, inputs)
    with torch.inference_mode():
        return program.logits(torch.from_numpy(inputs), shape)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_a_model_says_the_same_as_window_by_window(family: str, dtype: str) -> None:
    model = load_tiny(family, dtype)
    windows, expected = probe(model, [64, 3, 1, 40, 64, 17])
    found = program_logits(model, windows, VarlenProgram(model, False, PADDED))
    assert found.shape == (256, 9)
    allowed = (1e-5 if dtype == "float32" else 2**-5) * float(expected.abs().max())
    assert float((found[: len(expected)] - expected).abs().max()) <= allowed
    assert float(expected.abs().max()) > 1


class Recorder:
    """In the place of flash attention's operator: the same signature, the plain one's answers."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def with_scale(  # the signature of torch 2.11 and later, as far as it is used
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        cu_seq_q: torch.Tensor,
        cu_seq_k: torch.Tensor | None,
        max_q: int,
        max_k: int,
        *,
        scale: float | None = None,
    ) -> torch.Tensor:
        self.calls.append({"bounds": cu_seq_q, "keys": cu_seq_k, "longest": (max_q, max_k)})
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        return padded_operator(query, key, value, cu_seq_q, max_q, scale)

    def without_scale(  # the signature of torch 2.10
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        cu_seq_q: torch.Tensor,
        cu_seq_k: torch.Tensor | None,
        max_q: int,
        max_k: int,
        is_causal: bool = False,
    ) -> torch.Tensor:
        assert not is_causal
        return self.with_scale(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Recorder]:
    """Puts an operator of a signature in the place of torch's."""
    from torch.nn.attention import varlen

    def install(signature: str) -> Recorder:
        made = Recorder()
        monkeypatch.setattr(varlen, "varlen_attn", getattr(made, signature))
        return made

    return install


@pytest.mark.parametrize("signature", ["with_scale", "without_scale"])
def test_flash_attention_is_asked_as_each_torch_has_it(
    signature: str, recorder: Callable[[str], Recorder]
) -> None:
    made = recorder(signature)
    flash = varlen_attention.find_flash_operator()
    assert flash is not None
    register_varlen("test_flash", flash)
    model = load_tiny()
    windows, expected = probe(model, [64, 3, 40])
    found = program_logits(model, windows, VarlenProgram(model, False, "test_flash"))
    assert torch.allclose(found[: len(expected)], expected, atol=1e-4)
    assert len(made.calls) == 2  # a layer each
    for call in made.calls:
        assert call["bounds"].dtype == torch.int32
        assert call["bounds"].tolist() == [0, 64, 67] + [107] * 14
        assert call["keys"] is call["bounds"]
        assert call["longest"] == (64, 64)


def test_a_torch_that_knows_no_scale_is_not_asked_for_an_unusual_one(
    recorder: Callable[[str], Recorder],
) -> None:
    recorder("without_scale")
    flash = varlen_attention.find_flash_operator()
    assert flash is not None
    bounds = torch.tensor([0, 8], dtype=torch.int32)
    assert flash(*draw(8), bounds, 8, HEAD_SIZE**-0.5).shape == (8, HEADS, HEAD_SIZE)
    with pytest.raises(CannotPack):
        flash(*draw(8), bounds, 8, 0.5)


def test_a_torch_without_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.nn.attention.varlen", None)
    assert varlen_attention.find_flash_operator() is None


@pytest.mark.parametrize(
    "more",
    [
        {"attention_mask": torch.ones(1)},
        {"dropout": 0.1},
        {"window_bounds": None},
        {"sliding_window": 128},
        {"softcap": 30.0},
    ],
)
def test_a_model_that_wants_another_attention_is_refused(more: dict[str, Any]) -> None:
    attention = find_attention(PADDED)
    assert attention is not None
    query = torch.zeros(1, HEADS, 8, HEAD_SIZE)
    asked = {"window_bounds": torch.tensor([0, 8], dtype=torch.int32), "longest_window": 8, **more}
    mask = asked.pop("attention_mask", None)
    with pytest.raises(CannotPack):
        attention(SimpleNamespace(), query, query, query, mask, **asked)
