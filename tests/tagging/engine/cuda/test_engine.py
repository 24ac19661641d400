"""Which engine a model gets on a CUDA device, and that it answers; on a stand-in for the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from consumer.tagging import select as engines
from consumer.tagging.engine import plain_offers
from consumer.tagging.engine.cuda import engine as cuda_engine
from consumer.tagging.engine.cuda.engine import CudaOptions, make_cuda_engine, try_way
from consumer.tagging.engine.cuda.support import AttentionChoice, CudaFacts
from consumer.tagging.engine.cuda.varlen_attention import PADDED, register_varlen
from consumer.tagging.engine.engine import PackedEngine, PaddedEngine
from consumer.tagging.engine.window_company import Company
from consumer.tagging.select import select_engine
from tests.support.engines.fake_cuda import FakeCuda
from tests.support.engines.host_device import load_tiny
from tests.support.models.tiny_families import loaded

EAGER = CudaOptions(graphs=False)


@pytest.fixture
def _cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that has flash attention's operator by its facts, and fails when it is called."""
    FakeCuda(monkeypatch)
    facts = CudaFacts((9, 0), torch.bfloat16, 8, True, False)
    monkeypatch.setattr(cuda_engine, "read_facts", lambda _model: facts)


@pytest.mark.usefixtures("_cuda")
def test_the_plain_attention_runs_where_flash_attention_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, other = load_tiny(), load_tiny()
    made = make_cuda_engine(model, True, EAGER)
    assert made is not None
    assert model.network.config._attn_implementation == PADDED
    (warning,) = caplog.records
    assert (
        "not attention nerstream_varlen_flash, layers as they are: NotImplementedError"
        in caplog.text
    )
    assert warning.levelname == "WARNING"
    windows = [np.arange(5, 5 + length, dtype=np.int32) for length in (64, 3, 17)]
    expected = PackedEngine(other, True).run(windows)
    for _ in range(3):
        found = made.run(windows)
        assert np.array_equal(found.label_ids, expected.label_ids)
        assert found.probabilities is not None
        assert expected.probabilities is not None
        assert np.allclose(found.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.usefixtures("_cuda")
def test_a_model_that_answers_otherwise_in_every_form_gets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register_varlen("test_wrong", lambda query, *_: query)
    choice = AttentionChoice(("test_wrong",))
    monkeypatch.setattr(cuda_engine, "choose_attention", lambda *_: choice)
    model = load_tiny()
    plain = model.network.config._attn_implementation
    assert make_cuda_engine(model, False, EAGER) is None
    assert model.network.config._attn_implementation == plain


def test_an_engine_of_the_device_goes_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    on_host = load_tiny()
    model = replace(on_host, device=torch.device("cuda", 0))
    there = object()
    monkeypatch.setattr(engines, "can_pack", lambda _model: True)
    monkeypatch.setattr(cuda_engine, "make_cuda_engine", lambda *_: there)
    assert select_engine(model, False).engine is there
    monkeypatch.setattr(cuda_engine, "make_cuda_engine", lambda *_: None)
    assert isinstance(select_engine(model, False).engine, PackedEngine)
    monkeypatch.setattr(engines, "can_pack", lambda _model: False)
    monkeypatch.setattr(plain_offers, "find_company", lambda _model: Company.EQUAL)
    padded = select_engine(model, False).engine
    assert isinstance(padded, PaddedEngine)
    assert not padded.pads


def test_a_model_whose_table_of_tokens_is_quantized_is_tried_too() -> None:
    """I-BERT's table has no `num_embeddings`, and its attention no name to change."""
    model = loaded("IBert")
    reason = try_way(model, PADDED, False)
    assert reason is not None
    assert "num_embeddings" not in reason
