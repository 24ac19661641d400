"""Logits of a tiny model by the program of a GPU, its layers fused or its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from consumer.tagging.engine.cuda.pass_layout import PassLayout
from consumer.tagging.engine.cuda.varlen_attention import PADDED
from consumer.tagging.engine.cuda.varlen_program import VarlenProgram
from consumer.tagging.model.loaded_model import LoadedModel
from tests.support.engines.host_device import load_tiny
from tests.support.engines.window_by_window import probe

LENGTHS = (64, 3, 17)


def with_biases(family: str, dtype: str = "float32") -> LoadedModel:
    """A model whose biases are not the zeros that random weights come with."""
    model = load_tiny(family, dtype)
    torch.manual_seed(3)
    for name, values in model.network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(values, std=0.5)
    return model


@torch.inference_mode()
def logits(
    model: LoadedModel, fused: bool, attention: str = PADDED, lengths: Sequence[int] = LENGTHS
) -> torch.Tensor:
    layout = PassLayout(model.pad_id, model.first_position)
    windows, _ = probe(model, list(lengths))
    shape = layout.shape(windows)
    inputs = np.empty(shape.inputs, dtype=np.int32)
    layout.write(windows, shape, inputs)
    program = VarlenProgram(model, False, attention, fused=fused)
    found = program.logits(torch.from_numpy(inputs), shape)[: sum(lengths)]
    program.restore()
    return found
