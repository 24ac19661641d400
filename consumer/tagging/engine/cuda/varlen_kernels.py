"""The kernels that fused layers are made of: torch's own, or those in Triton."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import layer_norm

from consumer.tagging.engine.cuda.varlen_attention import OPERATORS, VarlenOperator, register_varlen

#: The name under which transformers knows the attention in Triton.
TRITON = "nerstream_varlen_triton"

#: (values, weight, bias, epsilon) -> normalised; values of shape (rows, size).
NormKernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], torch.Tensor]

#: (ids, positions, words, places, weight, bias, epsilon) -> normalised sums of rows of two tables.
EmbedKernel = Callable[
    [
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        float,
    ],
    torch.Tensor,
]


@dataclass(frozen=True, slots=True)
class Kernels:
    """What stands between the matmuls.

    Attributes:
        attend: attention within each window.
        norm: layer normalisation.
        embed: normalised embeddings; None leaves them to the model's own modules.
    """

    attend: VarlenOperator
    norm: NormKernel
    embed: EmbedKernel | None


def torch_norm(
    values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """A `NormKernel`: torch's own."""
    return layer_norm(values, weight.shape, weight, bias, epsilon)


def has_triton() -> bool:
    """Whether Triton is here; torch brings it where it runs."""
    return importlib.util.find_spec("triton") is not None


def kernels_of(attention: str) -> Kernels:
    """The kernels that go with an attention, by a name that `register_varlen` was given."""
    if attention == TRITON:
        from consumer.tagging.engine.cuda import triton_kernels

        return Kernels(OPERATORS[TRITON], triton_kernels.norm, triton_kernels.embed)
    return Kernels(OPERATORS[attention], torch_norm, None)


def _attend_by_triton(*arguments: Any) -> torch.Tensor:
    """A `VarlenOperator`."""
    # Here, since it takes a third of a second to import, which no CPU needs.
    from consumer.tagging.engine.cuda.triton_kernels import attend

    return attend(*arguments)


register_varlen(TRITON, _attend_by_triton)
