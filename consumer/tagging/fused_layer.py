"""FusedLayer: an encoder's layer in four products, with weights packed for the processor.

Module by module, a layer reads and writes its activations a dozen times between the products. On
a CPU that memory traffic, and the pages for each new tensor, cost as much as a fifth of the whole.
Here query, key and value are one product, GELU is applied while the product's result is still in
registers, and so is the residual's addition; oneDNN keeps the weights in the order in which its
kernels read them.
"""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import layer_norm, scaled_dot_product_attention

from consumer.tagging.encoder_layers import LayerWeights, find_layers, read_layer
from consumer.tagging.packed_attention import PACKED, CannotPack
from consumer.tagging.processor import read_processor

#: Tokens for which the weights are packed. oneDNN orders them the same for any larger number.
PACKED_FOR_TOKENS = 1_024

#: Longest window whose scores are held all at once: 24 MB in a base model.
LONGEST_SCORES = 1_024

#: Of a row's powers, and one over it the smallest sum: a score 18 lower than the row's largest
#: still has a power above zero, and products with values of any model stay finite.
_LARGEST_SUM = 2.0**90

_LN_2 = math.log(2.0)

#: Tokens of the two windows that a layer is tried on.
_PROBE_TOKENS = (50, 7)

#: Largest difference in float32 that rounding explains, relative to the largest value.
_PROBE_TOLERANCE = 1e-4


class PackedProduct:
    """A linear layer, its weights in oneDNN's own order.

    Args:
        weight: shape (outputs, inputs), float32 or bfloat16.
        bias: shape (outputs,), or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(
            weight.detach().contiguous(), PACKED_FOR_TOKENS
        )
        self._bias = None if bias is None else bias.detach().clone()

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (tokens, inputs) to (tokens, outputs)."""
        return self._pointwise(inputs, "none", "")

    def gelu(self, inputs: torch.Tensor) -> torch.Tensor:
        """The same, through the exact GELU."""
        return self._pointwise(inputs, "gelu", "none")

    def plus(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The same, plus a tensor of the result's shape."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            inputs, residual, self._weight, self._bias, "add"
        )
        return found

    def _pointwise(self, inputs: torch.Tensor, function: str, algorithm: str) -> torch.Tensor:
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._weight, self._bias, function, [], algorithm
        )
        return found


class Norm:
    """Layer normalisation with weights of its own."""

    def __init__(self, norm: torch.nn.LayerNorm, dtype: torch.dtype) -> None:
        self._shape = norm.normalized_shape
        self._weight = norm.weight.detach().to(dtype)
        self._bias = norm.bias.detach().to(dtype)
        self._epsilon = norm.eps

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        return layer_norm(values, self._shape, self._weight, self._bias, self._epsilon)


class PackedLayer(torch.nn.Module, ABC):
    """Takes the place of a layer in a packed network; what it computes is its subclass's."""

    def forward(
        self,
        hidden: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *_: Any,
        window_lengths: Sequence[int] | None = None,
        **__: Any,
    ) -> torch.Tensor:
        """Shape (1, tokens, hidden size) in and out, windows end to end.

        Raises:
            CannotPack: it is called otherwise than `packed_logits` calls it.
        """
        if window_lengths is None or attention_mask is not None or len(hidden) != 1:
            raise CannotPack
        return self.compute(hidden[0], window_lengths)[None]

    @abstractmethod
    def compute(self, hidden: torch.Tensor, window_lengths: Sequence[int]) -> torch.Tensor:
        """Shape (tokens, hidden size) in and out."""


class FusedLayer(PackedLayer):
    """Four products, normalisation and attention in one precision.

    Args:
        weights: the layer's; copied.
        dtype: float32 or bfloat16.
    """

    def __init__(self, weights: LayerWeights, dtype: torch.dtype) -> None:
        super().__init__()
        self._heads = weights.heads
        self._attention_inputs = PackedProduct(*joined(weights, dtype))
        self._out = _packed(weights.out, dtype)
        self._up = _packed(weights.up, dtype)
        self._down = _packed(weights.down, dtype)
        self._attention_norm = Norm(weights.attention_norm, dtype)
        self._output_norm = Norm(weights.output_norm, dtype)

    def compute(self, hidden: torch.Tensor, window_lengths: Sequence[int]) -> torch.Tensor:
        attended = attend(self._attention_inputs(hidden), window_lengths, self._heads)
        hidden = self._attention_norm(self._out.plus(attended, hidden))
        return self._output_norm(self._down.plus(self._up.gelu(hidden), hidden))


def attend(inputs: torch.Tensor, window_lengths: Sequence[int], heads: int) -> torch.Tensor:
    """Attention within each window.

    By two products and powers of two between them, or by torch's own attention for the CPU. That
    one cuts the products into blocks. With tiles it has kernels of its own for them and takes
    about half the time; without, the blocks are too small for oneDNN's bfloat16 kernels, and it
    takes twice the time. It takes no memory for all scores, though, so the longest windows always
    go to it.

    Args:
        inputs: queries, keys and values side by side, shape (tokens, 3 x hidden size); of queries
            that are scaled as `joined` does it, so that scores are exponents of two.

    Returns:
        Shape (tokens, hidden size).
    """
    tokens = len(inputs)
    query, key, value = inputs.view(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    attended = inputs.new_empty(tokens, heads, query.shape[-1])
    by_head = attended.transpose(0, 1)
    ends = list(itertools.accumulate(window_lengths))
    windows = [slice(end - length, end) for end, length in zip(ends, window_lengths, strict=True)]
    has_tiles = inputs.dtype == torch.bfloat16 and read_processor().has_tiles
    longest_scores = 0 if has_tiles else LONGEST_SCORES
    short = [window for window in windows if window.stop - window.start <= longest_scores]
    for window in windows:
        if window.stop - window.start > longest_scores:
            by_head[:, window] = scaled_dot_product_attention(
                query[None, :, window], key[None, :, window], value[None, :, window], scale=_LN_2
            )[0]
    for window, bad in _attend_by_powers(query, key, value, short, by_head):
        scores = torch.bmm(query[bad, window], key[bad, window].mT).mul_(_LN_2)
        by_head[bad, window] = torch.bmm(scores.softmax(dim=-1), value[bad, window])
    return attended.view(tokens, -1)


def _attend_by_powers(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    windows: Sequence[slice],
    attended: torch.Tensor,
) -> Sequence[tuple[slice, torch.Tensor]]:
    """Attention with the softmax undone into its powers, which are divided by their sums only
    after the product with the values: that has as many columns as a head is wide, where the scores
    have as many as the window has tokens. What a softmax does besides, subtracting the largest
    score, keeps the powers small; here their sums tell afterwards whether they were.

    Args:
        query, key, value: shape (heads, tokens, head size).
        attended: the same shape; the windows' tokens are filled.

    Returns:
        The windows and their heads whose answers are of no use, since their scores lie too far from
        zero: of some models one head does that in nearly all windows.
    """
    if not windows:
        return ()
    heads, tokens, _ = query.shape
    longest = max(window.stop - window.start for window in windows)
    # The same memory for each, so that it stays in the caches.
    memory = query.new_empty(heads * longest * longest)
    sums = query.new_ones(heads, tokens, 1)
    for window in windows:
        length = window.stop - window.start
        powers = memory[: heads * length * length].view(heads, length, length)
        torch.bmm(query[:, window], key[:, window].mT, out=powers).exp2_()
        torch.sum(powers, dim=-1, keepdim=True, out=sums[:, window])
        torch.bmm(powers, value[:, window], out=attended[:, window]).div_(sums[:, window])
    # Written so that what is not a number is of no use.
    is_of_use = ((sums >= 1 / _LARGEST_SUM) & (sums <= _LARGEST_SUM))[..., 0]
    if bool(is_of_use.all()):
        return ()
    found = [(window, (~is_of_use[:, window].all(dim=1)).nonzero()[:, 0]) for window in windows]
    return [(window, bad) for window, bad in found if len(bad)]


def joined(weights: LayerWeights, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of query, key and value as one product, with queries such that products with
    keys are the scores as exponents of two."""
    factors = (weights.scaling / _LN_2, 1.0, 1.0)
    parts = list(zip((weights.query, weights.key, weights.value), factors, strict=True))
    biases = [part.bias.detach() * factor for part, factor in parts if part.bias is not None]
    return (
        torch.cat([part.weight.detach() * factor for part, factor in parts]).to(dtype),
        torch.cat(biases).to(dtype) if biases else None,
    )


@torch.inference_mode()
def can_fuse(network: Any) -> bool:
    """Whether the fused layers of a network compute, in float32, what its own compute.

    Tried on the layers at hand, so that a model with something of its own between the products is
    never fused. Leaves the network as it was.
    """
    layers = find_layers(network)
    if layers is None:
        return False
    plain_attention = network.config._attn_implementation
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, sum(_PROBE_TOKENS), network.config.hidden_size, generator=generator)
    try:
        network.config._attn_implementation = PACKED
        for layer in layers:
            own = copy.deepcopy(layer).float()
            weights = read_layer(own)
            assert weights is not None
            expected = own(hidden, None, window_lengths=_PROBE_TOKENS)
            found = FusedLayer(weights, torch.float32)(hidden, window_lengths=_PROBE_TOKENS)
            tolerance = _PROBE_TOLERANCE * float(expected.abs().max())
            # Written so that what is not a number is not allowed.
            if not float((found - expected).abs().max()) <= tolerance:
                return False
            hidden = expected
    except Exception:  # whatever a layer does that is not called as it is used to
        return False
    finally:
        network.config._attn_implementation = plain_attention
    return True


@torch.inference_mode()
def fuse_layers(network: Any, dtype: torch.dtype) -> None:
    """Put fused layers in the place of a network's own, which are let go one by one."""
    layers = find_layers(network)
    assert layers is not None
    for index, layer in enumerate(layers):
        weights = read_layer(layer)
        assert weights is not None
        layers[index] = FusedLayer(weights, dtype)


def _packed(linear: torch.nn.Linear, dtype: torch.dtype) -> PackedProduct:
    bias = None if linear.bias is None else linear.bias.to(dtype)
    return PackedProduct(linear.weight.to(dtype), bias)
