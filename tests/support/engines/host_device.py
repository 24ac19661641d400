"""A `PassDevice` on the CPU: the same calls, each done when it returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.engine.cuda.pass_layout import PassLayout, PassShape
from consumer.tagging.engine.cuda.varlen_attention import PADDED
from consumer.tagging.engine.cuda.varlen_engine import SLOTS, VarlenEngine
from consumer.tagging.engine.cuda.varlen_program import VarlenProgram
from consumer.tagging.engine.engine import Engine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from consumer.tagging.tagger import Tagger, TaggingOptions
from tests.support.models.tiny_models import tiny_folder


class HostDevice:
    """Runs a program; remembers the shapes of its passes.

    Args:
        fits_tokens: a pass of more finds no memory.
    """

    def __init__(self, program: VarlenProgram, fits_tokens: int = 1 << 30) -> None:
        self.shapes: list[PassShape] = []
        self.settled = 0
        self.spare = False
        self._program = program
        self._fits_tokens = fits_tokens
        self._inputs = [np.empty(0, dtype=np.int32)] * SLOTS
        self._answers = [np.empty(0, dtype=np.int32)] * SLOTS

    def host_inputs(self, slot: int, shape: PassShape) -> NDArray[np.int32]:
        self._inputs[slot] = np.full(shape.inputs, -1, dtype=np.int32)
        return self._inputs[slot]

    def upload(self, slot: int, shape: PassShape) -> None:
        pass

    @torch.inference_mode()
    def compute(self, slot: int, shape: PassShape) -> None:
        if shape.tokens > self._fits_tokens:
            raise torch.OutOfMemoryError("out of memory, as asked for")
        self.shapes.append(shape)
        answer = self._program(torch.from_numpy(self._inputs[slot]), shape)
        self._answers[slot] = answer.numpy().copy()

    def download(self, slot: int, shape: PassShape) -> None:
        pass

    def wait(self, slot: int) -> NDArray[np.int32]:
        return self._answers[slot]

    def settle(self) -> None:
        self.settled += 1

    def give_back(self) -> bool:
        had, self.spare = self.spare, False
        return had


def varlen_engine(
    model: LoadedModel,
    with_probabilities: bool = False,
    *,
    attention: str = PADDED,
    fits_tokens: int = 1 << 30,
) -> VarlenEngine:
    """The engine of a CUDA device, with this one in its place."""
    program = VarlenProgram(model, with_probabilities, attention)
    layout = PassLayout(model.pad_id, model.first_position)
    return VarlenEngine(layout, HostDevice(program, fits_tokens))


def load_tiny(
    family: str = "bert-cased", dtype: str = "float32", max_length: int = 64
) -> LoadedModel:
    return load_model(str(tiny_folder(family, max_length)), "", "cpu", dtype, 0)


def tagger_on(engine: Engine, model: LoadedModel, **options: Any) -> Tagger:
    return Tagger(model, TaggingOptions(**options), engine)
