"""What the CPU's engine runs, by which layers, and on which processors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from consumer.contracts.choices import Dtype
from consumer.tagging.engine.cpu.engine import make_cpu_engine
from consumer.tagging.engine.cpu.layers.calibration import quantize_layers
from consumer.tagging.engine.cpu.layers.fused_layer import fused
from consumer.tagging.engine.cpu.layers.int16_layer import TOLERANCE, in_16_bits
from consumer.tagging.engine.cpu.layers.packed_layer import (
    LayerMaker,
    can_fuse,
    fuse_layers,
    takes_layers,
)
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.engine.offer import Auto, Machine, Made, Models, Offer
from consumer.tagging.engine.plain_offers import plain_offers
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import keep_freed_memory

#: Puts layers in the place of a model's own.
_Replace = Callable[[], None]

#: Finds them, or None where the model's layers are others; tries it to find out.
_Find = Callable[[LoadedModel], _Replace | None]


def _int16(model: LoadedModel) -> _Replace | None:
    """Layers by our own kernel. What the model's weights give in float32 is tried before, so that
    no other structure is taken for a rounding of 16 bits."""
    make = in_16_bits(model.network)
    if make is None or not can_fuse(model.network, fused(torch.float32)):
        return None
    return _put(model, make) if can_fuse(model.network, make, TOLERANCE) else None


def _int8(model: LoadedModel) -> _Replace | None:
    """Layers by oneDNN's quantized matmul, calibrated on the samples."""
    return (
        partial(quantize_layers, model) if can_fuse(model.network, fused(torch.float32)) else None
    )


def _bfloat16(model: LoadedModel) -> _Replace | None:
    """Layers in four matmuls, with prepacked weights."""
    if not can_fuse(model.network, fused(torch.float32)):
        return None
    return _put(model, fused(torch.bfloat16))


def _float32(model: LoadedModel) -> _Replace | None:
    """Layers in four matmuls, with attention by our own kernel, by which alone they gain."""
    kernel = _attention_for(model)
    if kernel is None:
        return None
    make = fused(torch.float32, kernel)
    return _put(model, make) if can_fuse(model.network, make) else None


def _attention_for(model: LoadedModel) -> Kernel | None:
    """The kernel, if this installation has one that takes the model's heads."""
    kernel, layers = load_kernel(), find_layers(model.network)
    weights = read_layer(layers[0]) if layers else None
    if kernel is None or weights is None:
        return None
    return kernel if kernel.takes(weights.head_size) else None


def _put(model: LoadedModel, make: LayerMaker) -> _Replace:
    return partial(fuse_layers, model.network, make)


def _fused(model: LoadedModel, with_probabilities: bool, find: _Find, how: str) -> Made | None:
    keep_freed_memory()
    if not takes_layers(model.network, model.first_position):
        return None
    replace = find(model)
    if replace is None:
        return None
    return Made(make_cpu_engine(model, with_probabilities, replace), how)


def _plain(model: LoadedModel, with_probabilities: bool) -> Made:
    keep_freed_memory()
    return Made(make_cpu_engine(model, with_probabilities, None), "packed, layers as they are")


def _bfloat16_cost(machine: Machine) -> float:
    """Without AMX 952 tokens/s in float32 and 2,146 in bfloat16; with AMX 1,702 and 7,500."""
    return 0.23 if machine.processor.has_amx else 0.44


def _int8_cost(machine: Machine) -> float:
    """Without AMX 952 tokens/s in float32 and 3,479 in eight bits. With AMX eight bits are no
    faster than bfloat16: 6 % with BERT-base's geometry, and slower with the bundled model."""
    return _bfloat16_cost(machine) if machine.processor.has_amx else 0.27


def _int8_auto(machine: Machine) -> Auto:
    """Nobody has measured it on a processor without bfloat16."""
    return Auto.FAITHFUL if machine.processor.has_bfloat16 else Auto.NEVER


def _int16_cost(machine: Machine) -> float:
    """On a processor that is known to be fast at it, 754 tokens/s in float32 and 1,017 in 16
    bits."""
    return 0.74 if machine.processor.prefers_int16 else 1.0


def _int16_auto(machine: Machine) -> Auto:
    return Auto.ANY if machine.processor.prefers_int16 else Auto.NEVER


#: Most exact first.
CPU_OFFERS = (
    *plain_offers("packed windows", ("cpu",), Models.PACKED, _plain),
    Offer(
        name="fused layers, attention by our own kernel",
        dtype=Dtype.FLOAT32,
        devices=("cpu",),
        models=Models.ENCODERS,
        # 397 tokens/s beside 387, on one core.
        cost=lambda _: 0.97,
        auto=lambda _: Auto.ANY,
        make=partial(_fused, find=_float32, how="layers fused, attention by our own kernel"),
    ),
    Offer(
        name="fused layers, 16-bit integers by our own kernel",
        dtype=Dtype.INT16,
        devices=("cpu",),
        models=Models.ENCODERS,
        cost=_int16_cost,
        auto=_int16_auto,
        make=partial(_fused, find=_int16, how="layers fused, 16-bit integers by our own kernel"),
        runs_on=lambda machine: machine.processor.has_int16,
        needs="an x86-64 processor with AVX2, and a C compiler where nerstream is installed",
    ),
    Offer(
        name="fused layers",
        dtype=Dtype.BFLOAT16,
        devices=("cpu",),
        models=Models.ENCODERS,
        cost=_bfloat16_cost,
        auto=lambda _: Auto.ANY,
        make=partial(_fused, find=_bfloat16, how="layers fused"),
        runs_on=lambda machine: machine.processor.has_bfloat16,
        needs="a processor that multiplies bfloat16 (AVX-512 BF16 or AMX)",
    ),
    Offer(
        name="fused layers, 8-bit integers",
        dtype=Dtype.INT8,
        devices=("cpu",),
        models=Models.ENCODERS,
        cost=_int8_cost,
        auto=_int8_auto,
        make=partial(_fused, find=_int8, how="layers fused, 8-bit integers"),
        runs_on=lambda machine: machine.processor.has_int8,
        needs="a processor with AVX-512 VNNI",
    ),
)
