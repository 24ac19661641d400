"""VarlenProgram: nothing in it waits, it compiles once, and what it runs on is tried before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from consumer.tagging.engine.cuda.engine import try_way
from consumer.tagging.engine.cuda.pass_layout import PassLayout
from consumer.tagging.engine.cuda.varlen_attention import (
    FLASH,
    PADDED,
    padded_operator,
    register_varlen,
)
from consumer.tagging.engine.cuda.varlen_program import VarlenProgram
from tests.support.engines.host_device import load_tiny
from tests.support.models.tiny_models import PACKED_FAMILIES


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("attention", [PADDED, FLASH])
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_nothing_in_a_pass_waits_for_the_device(family: str, attention: str, fused: bool) -> None:
    """On the meta device there are no numbers: whatever asks for one fails, as a capture would.
    It also has torch's own flash operator, so that the call of it is checked."""
    model = load_tiny(family)
    layout = PassLayout(model.pad_id, model.first_position)
    shape = layout.shape([np.zeros(60, dtype=np.int32)] * 20)
    model.network.to("meta")
    program = VarlenProgram(model, True, attention, fused=fused)
    with torch.inference_mode():
        reduced = program(torch.zeros(shape.inputs, dtype=torch.int32, device="meta"), shape)
    assert reduced.shape == (2 + 9, shape.tokens)


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
    assert try_way(model, PADDED, False) is None
    assert "from the model's own" in (try_way(model, "test_across", False) or "")
    assert try_way(model, "test_broken", False) == (
        "RuntimeError: no kernel image is available for execution on the device"
    )
    with pytest.raises(torch.OutOfMemoryError):
        try_way(model, "test_without_memory", False)
    assert model.network.config._attn_implementation == plain
