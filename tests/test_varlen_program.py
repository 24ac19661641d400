"""VarlenProgram: nothing in it waits, it compiles once, and what it runs on is tried before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from consumer.tagging.cuda_engine import try_attention
from consumer.tagging.pass_layout import PassLayout
from consumer.tagging.varlen_attention import FLASH, PADDED, padded_operator, register_varlen
from consumer.tagging.varlen_program import VarlenProgram
from tests.host_device import load_tiny
from tests.test_varlen_attention import probe
from tests.tiny_models import PACKED_FAMILIES


@pytest.mark.parametrize("attention", [PADDED, FLASH])
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_nothing_in_a_pass_waits_for_the_device(family: str, attention: str) -> None:
    """On the meta device there are no numbers: whatever asks for one fails, as a capture would.
    It also has torch's own flash operator, so that the call of it is checked."""
    model = load_tiny(family)
    layout = PassLayout(model.pad_id, model.first_position)
    shape = layout.shape([np.zeros(60, dtype=np.int32)] * 20)
    program = VarlenProgram(model, True, attention)
    model.network.to("meta")
    reduced = program(torch.zeros(shape.inputs, dtype=torch.int32, device="meta"), shape)
    assert reduced.shape == (2 + 9, shape.tokens)


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta"])
def test_torchs_own_flash_operator_is_compiled_whole(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: real(f, backend=backend, **how))
    torch.compiler.reset()
    model = load_tiny(family, "bfloat16")
    program = VarlenProgram(model, False, FLASH, compiled=True)
    model.network.to("meta")
    layout = PassLayout(model.pad_id, model.first_position)
    for lengths in ([64, 3], [30] * 20, [64] * 33):
        shape = layout.shape([np.zeros(length, dtype=np.int32) for length in lengths])
        with torch.inference_mode():
            inputs = torch.zeros(shape.inputs, dtype=torch.int32, device="meta")
            assert program(inputs, shape).shape == (2, shape.tokens)
    assert len(compiled) == 1
    calls = [node for node in compiled[0].graph.nodes if "varlen_attn" in str(node.target)]
    assert len(calls) == 2  # a layer each


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta"])
def test_one_compilation_serves_all_shapes(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced whole, without a break, and once; the backend is our own, so nothing is built."""
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: real(f, backend=backend, **how))
    torch.compiler.reset()
    model = load_tiny(family)
    layout = PassLayout(model.pad_id, model.first_position)
    eager = VarlenProgram(model, False, PADDED)
    program = VarlenProgram(model, False, PADDED, compiled=True)
    for lengths in ([64, 3], [30] * 20, [64] * 33, [9]):
        windows, _ = probe(model, lengths)
        model.network.config._attn_implementation = PADDED
        shape = layout.shape(windows)
        inputs = np.empty(shape.inputs, dtype=np.int32)
        layout.write(windows, shape, inputs)
        with torch.inference_mode():
            found = program(torch.from_numpy(inputs), shape)[:, : sum(lengths)]
            expected = eager(torch.from_numpy(inputs), shape)[:, : sum(lengths)]
        assert torch.equal(found[0], expected[0])
        assert torch.allclose(
            found[1].view(torch.float32), expected[1].view(torch.float32), atol=1e-5
        )
    assert len(compiled) == 1


def test_an_attention_is_tried_on_the_model_at_hand() -> None:
    model = load_tiny()
    plain = model.network.config._attn_implementation

    def across_windows(query: Any, key: Any, value: Any, *more: Any) -> torch.Tensor:
        whole = torch.tensor([0, len(query)], dtype=torch.int32)
        return padded_operator(query, key, value, whole, len(query), more[2])

    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no kernel image is available for execution on the device\nmore")

    def without_memory(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    register_varlen("test_across", across_windows)
    register_varlen("test_broken", broken)
    register_varlen("test_without_memory", without_memory)
    assert try_attention(model, PADDED) is None
    assert "from the model's own" in (try_attention(model, "test_across") or "")
    assert try_attention(model, "test_broken") == (
        "RuntimeError: no kernel image is available for execution on the device"
    )
    with pytest.raises(torch.OutOfMemoryError):
        try_attention(model, "test_without_memory")
    assert model.network.config._attn_implementation == plain
