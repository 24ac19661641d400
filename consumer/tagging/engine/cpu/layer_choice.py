"""Which layers a model is computed by on a CPU: its own, or better ones that give the same."""

from __future__ import annotations

import torch

from consumer.tagging.engine.cpu.fused_layer import fused
from consumer.tagging.engine.cpu.int16_layer import TOLERANCE, in_16_bits
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from consumer.tagging.engine.cpu.packed_layer import LayerMaker, can_fuse
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import read_processor


def int16_layers(model: LoadedModel) -> LayerMaker | None:
    """Makes the layers of a model in 16 bits, if it has such as compute what its own do. Tries
    them to find out; blocks."""
    make = in_16_bits(model.network)
    if make is None or model.is_settled:
        return make
    if not can_fuse(model.network, fused(torch.float32)):
        return None
    return make if can_fuse(model.network, make, TOLERANCE) else None


def choose_layers(model: LoadedModel) -> LayerMaker | None:
    """Makes the layers that a model is computed by in place of its own, if there are better ones.
    Layers in eight bits are made by `quantize_layers`, wherever this gives any."""
    network, dtype = model.network, model.info.dtype
    if dtype == "int16":
        return int16_layers(model)
    if dtype == "int8" or (dtype == "bfloat16" and read_processor().has_bfloat16):
        return fused(torch.bfloat16) if can_fuse(network, fused(torch.float32)) else None
    kernel = _kernel_for(model)
    if kernel is None:
        return None
    make = fused(torch.float32, kernel)
    return make if can_fuse(network, make) else None


def _kernel_for(model: LoadedModel) -> Kernel | None:
    """The kernel for attention in float32, by which alone fused layers gain there. None in another
    precision, where the model's own roundings are wanted, and where it does not take the heads."""
    if model.info.dtype != "float32" or model.is_exact:
        return None
    kernel, layers = load_kernel(), find_layers(model.network)
    weights = read_layer(layers[0]) if layers else None
    if kernel is None or weights is None:
        return None
    return kernel if kernel.takes(weights.head_size) else None
