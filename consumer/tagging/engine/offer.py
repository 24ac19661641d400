"""Offer: what an engine says of itself, so that one function can choose among all of them.

`consumer.tagging.select` asks every offer and logs the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch

from consumer.contracts.choices import Dtype
from consumer.tagging.engine.engine import Engine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import Processor


class Models(Enum):
    """Which models an offer is for. The model at hand is tried."""

    ANY = "any token classifier"
    PACKED = "models whose attention can be packed, see `can_pack`"
    ENCODERS = "those whose layers can be read as well, see `encoder_layers`"


class Auto(Enum):
    """For which models `dtype=auto` may take an offer."""

    ANY = "all: its speed was measured, and a few entities in a thousand change at most"
    FAITHFUL = "those that are known to keep their entities, see `faithful_dtypes`"
    NEVER = "none: its speed or its entities were not measured"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a model may run.

    Attributes:
        device: a CPU or a CUDA device.
        processor: this machine's.
    """

    device: torch.device
    processor: Processor


@dataclass(frozen=True, slots=True)
class Made:
    """An engine that an offer has made.

    Attributes:
        how: how it runs the model, in a few words, for the log.
    """

    engine: Engine
    how: str


class Make(Protocol):
    """Makes an engine for a model."""

    def __call__(self, model: LoadedModel, with_probabilities: bool, /) -> Made | None:
        """The engine; None where the model is not one of the offer's, which leaves it as it was.
        Tries the model to find out; blocks.

        Args:
            model: loaded in the offer's precision, its attention packable unless the offer is for
                any model. Belongs to the engine from now on.
            with_probabilities: whether answers hold all probabilities.

        Raises:
            ModelError: the model does not run at all.
            RuntimeError: there is no memory for a few windows, see `is_out_of_memory`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way of running models.

    Attributes:
        name: what it is, for the log.
        dtype: in which precision it computes.
        devices: kinds of devices that it runs on, `cpu` or `cuda`.
        models: which models it takes.
        cost: time of a pass on a machine, relative to a packed float32 pass by the model's own
            layers there. Of BERT-base's geometry, as recorded in docs/notes/performance.md; only
            its order decides.
        auto: for which models `dtype=auto` may take it on a machine.
        make: makes the engine.
        runs_on: whether it runs on a machine of its devices.
        needs: what a machine must have for that; for an error.
        is_plain: whether it computes by the model's own layers, so that float32 has transformers'
            scores to the last digits.
    """

    name: str
    dtype: Dtype
    devices: tuple[str, ...]
    models: Models
    cost: Callable[[Machine], float]
    auto: Callable[[Machine], Auto]
    make: Make
    runs_on: Callable[[Machine], bool] = lambda _: True
    needs: str = ""
    is_plain: bool = False
