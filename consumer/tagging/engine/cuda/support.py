"""What a CUDA device can run: every check of a capability, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from consumer.tagging.engine.cuda.varlen_attention import (
    FLASH,
    PADDED,
    TRITON_HEAD_SIZES,
    find_flash_operator,
)
from consumer.tagging.engine.cuda.varlen_kernels import TRITON, has_triton
from consumer.tagging.model.loaded_model import LoadedModel

#: First compute capability (Ampere) and largest head of torch's flash attention; heads are
#: multiples of eight. Sources: pytorch/aten/src/ATen/native/transformers/cuda/sdp_utils.cpp.
_FLASH_CAPABILITY = (8, 0)
_FLASH_LARGEST_HEAD = 256
_FLASH_HEAD_MULTIPLE = 8


@dataclass(frozen=True, slots=True)
class CudaFacts:
    """What the choice of an attention depends on.

    Attributes:
        capability: compute capability of the device, major and minor.
        dtype: precision of the model.
        head_size: width of an attention head.
        has_flash_operator: whether this torch has variable-length flash attention.
        has_triton: whether Triton is installed.
    """

    capability: tuple[int, int]
    dtype: torch.dtype
    head_size: int
    has_flash_operator: bool
    has_triton: bool = False


@dataclass(frozen=True, slots=True)
class AttentionChoice:
    """Attentions by the names that transformers has for them, and why there is no faster one.

    Attributes:
        names: those that may run, the fastest first; the last one runs everywhere.
    """

    names: tuple[str, ...]
    reason: str = ""


def choose_attention(facts: CudaFacts, triton: bool = True) -> AttentionChoice:
    """The kernels that this device, precision and model may have.

    Args:
        triton: whether Triton's may be among them.
    """
    in_triton = (TRITON,) if triton and facts.has_triton else ()
    if facts.capability < _FLASH_CAPABILITY:
        at_hand = ".".join(map(str, facts.capability))
        return AttentionChoice(
            (PADDED,), f"flash attention needs capability 8.0, this is {at_hand}"
        )
    if facts.dtype not in (torch.bfloat16, torch.float16):
        name = str(facts.dtype).removeprefix("torch.")
        return AttentionChoice((PADDED,), f"flash attention takes bfloat16 and float16, not {name}")
    if facts.head_size > _FLASH_LARGEST_HEAD or facts.head_size % _FLASH_HEAD_MULTIPLE:
        return AttentionChoice(
            (PADDED,), f"flash attention takes heads of 8, 16, ... 256, not {facts.head_size}"
        )
    if facts.head_size not in TRITON_HEAD_SIZES:
        in_triton = ()
    if not facts.has_flash_operator:
        return AttentionChoice(
            (*in_triton, PADDED), "this torch has no variable-length attention; 2.11 has"
        )
    return AttentionChoice((*in_triton, FLASH, PADDED))


def read_facts(model: LoadedModel) -> CudaFacts:
    """The facts of a model on a CUDA device."""
    config = model.network.config
    heads = getattr(config, "num_attention_heads", 1)
    return CudaFacts(
        capability=torch.cuda.get_device_capability(model.device),
        dtype=model.network.dtype,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        has_flash_operator=find_flash_operator() is not None,
        has_triton=has_triton(),
    )
