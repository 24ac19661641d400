"""VarlenLayer: an encoder's layer in seven kernels, for passes that lie on a GPU.

Module by module, a layer is a dozen kernels and more. Those between the matmuls read and write
every activation again: biases, residual sums, GELU. Here query, key and value are one matmul. GELU
is applied while the matmul's result is still in registers, and the residual is the matrix that a
matmul adds to.

A matmul that adds a matrix has no place for a bias. So the biases behind attention and feed-forward
part go into the normalisation before. That one gives hidden + bias, the residual as it is needed.
The matmuls that read it take the bias away again, by a constant in their own bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from consumer.tagging.engine.cuda.varlen_embeddings import VarlenEmbeddings
from consumer.tagging.engine.cuda.varlen_kernels import EmbedKernel, Kernels, NormKernel
from consumer.tagging.engine.encoder_layers import LayerWeights, find_layers, read_layer
from consumer.tagging.engine.packed_attention import CannotPack

#: Columns of a matmul that the device loads together.
_WIDTH = 8


class ShiftedNorm:
    """Layer normalisation plus a constant.

    Args:
        shift: shape (hidden size,), float32.
    """

    def __init__(
        self,
        norm: torch.nn.LayerNorm,
        shift: torch.Tensor,
        dtype: torch.dtype,
        kernel: NormKernel,
    ) -> None:
        self._kernel = kernel
        self._weight = norm.weight.detach().to(dtype)
        self._bias = (norm.bias.detach().float() + shift).to(dtype)
        self._epsilon = norm.eps

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        return self._kernel(values, self._weight, self._bias, self._epsilon)


class VarlenLayer(torch.nn.Module):
    """Takes the place of a layer whose network's passes are laid out by `PassLayout`.

    Args:
        weights: the layer's; copied.
        kernels: what stands between the matmuls.
        dtype: precision of weights and activations.
        adds_shift: whether it has to add `entry_shift` to what comes in.
        following: `entry_shift` of the layer behind it, zeros behind the last; shape
            (hidden size,), float32.
    """

    def __init__(
        self,
        weights: LayerWeights,
        kernels: Kernels,
        dtype: torch.dtype,
        *,
        adds_shift: bool,
        following: torch.Tensor,
    ) -> None:
        super().__init__()
        self._attend = kernels.attend
        self._heads = weights.heads
        self._scaling = weights.scaling
        shift = entry_shift(weights)
        self._added = shift.to(dtype) if adds_shift else None
        parts = (weights.query, weights.key, weights.value)
        self._inputs, self._inputs_bias = _without_shift(parts, shift, dtype)
        self._out = _weight([weights.out], dtype)
        inner_shift = _bias(weights.down)
        self._up, self._up_bias = _without_shift((weights.up,), inner_shift, dtype)
        self._down = _weight([weights.down], dtype)
        self._attention_norm = ShiftedNorm(weights.attention_norm, inner_shift, dtype, kernels.norm)
        self._output_norm = ShiftedNorm(weights.output_norm, following, dtype, kernels.norm)

    def forward(
        self,
        hidden: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *_: Any,
        window_bounds: torch.Tensor | None = None,
        longest_window: int = 0,
        **__: Any,
    ) -> torch.Tensor:
        """Shape (1, tokens, hidden size) in and out, windows end to end. May write over
        what comes in.

        Raises:
            CannotPack: it is called otherwise than `VarlenProgram` calls it.
        """
        if window_bounds is None or attention_mask is not None or len(hidden) != 1:
            raise CannotPack
        states = hidden[0]
        if self._added is not None:
            states = states + self._added
        parts = torch.addmm(self._inputs_bias, states, self._inputs)
        query, key, value = parts.view(len(parts), 3, self._heads, -1).unbind(1)
        attended = self._attend(
            query, key, value, window_bounds, longest_window, self._scaling
        ).flatten(1)
        states = self._attention_norm(states.addmm_(attended, self._out))
        # On a GPU this is GELU's tanh form, which lies less than a bfloat16's rounding apart.
        inner = torch._addmm_activation(self._up_bias, states, self._up, use_gelu=True)
        return self._output_norm(states.addmm_(inner, self._down))[None]


class WideClassifier(torch.nn.Module):
    """A classifier whose matmul has a multiple of eight columns. With an odd number of 16-bit
    values in a row the device loads them one by one, and takes four times as long."""

    def __init__(self, own: torch.nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._outputs = own.out_features
        added = -own.out_features % _WIDTH
        weight, bias = _weight([own], dtype), _bias(own).to(dtype)
        self._weight = torch.cat((weight, weight.new_zeros(len(weight), added)), dim=1)
        self._bias = torch.cat((bias, bias.new_zeros(added)))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape (1, tokens, hidden size) to (1, tokens, outputs)."""
        found = torch.addmm(self._bias, hidden[0], self._weight)
        return found[None, :, : self._outputs]


def entry_shift(weights: LayerWeights) -> torch.Tensor:
    """What is added to the hidden states that a layer takes, beside the model's own."""
    return _bias(weights.out)


@torch.inference_mode()
def fuse_network(network: Any, kernels: Kernels) -> Callable[[], None]:
    """Put such layers and a `WideClassifier` in the place of a network's own, and embeddings where
    there is a kernel for them. Its layers are those that `find_layers` finds.

    Returns:
        A function that undoes it.
    """
    layers = find_layers(network)
    assert layers is not None
    base = getattr(network, network.base_model_prefix)
    own_layers, own_embeddings = list(layers), base.embeddings
    weights = [one for layer in own_layers if (one := read_layer(layer)) is not None]
    shifts = [*map(entry_shift, weights), torch.zeros_like(entry_shift(weights[-1]))]
    embeddings = _fused_embeddings(base, shifts[0], network.dtype, kernels.embed)
    fused = [
        VarlenLayer(
            one,
            kernels,
            network.dtype,
            adds_shift=index == 0 and embeddings is None,
            following=shifts[index + 1],
        )
        for index, one in enumerate(weights)
    ]

    own_classifier = getattr(network, "classifier", None)
    classifier = own_classifier
    if type(own_classifier) is torch.nn.Linear:
        classifier = WideClassifier(own_classifier, network.dtype)

    def put(
        new_layers: Sequence[torch.nn.Module],
        new_embeddings: torch.nn.Module,
        new_classifier: torch.nn.Module | None,
    ) -> None:
        for index, layer in enumerate(new_layers):
            layers[index] = layer
        base.embeddings = new_embeddings
        if new_classifier is not None:
            network.classifier = new_classifier

    put(fused, embeddings or own_embeddings, classifier)
    return lambda: put(own_layers, own_embeddings, own_classifier)


def _fused_embeddings(
    base: Any, shift: torch.Tensor, dtype: torch.dtype, kernel: EmbedKernel | None
) -> VarlenEmbeddings | None:
    """None where there is no kernel, or the model's have a form of their own, or a matmul stands
    between them and the first layer."""
    if kernel is None or hasattr(base, "embeddings_project"):
        return None
    try:
        return VarlenEmbeddings(base.embeddings, shift, dtype, kernel)
    except AttributeError:
        return None


def _weight(parts: Sequence[torch.nn.Linear], dtype: torch.dtype) -> torch.Tensor:
    """As a matmul reads it: shape (inputs, outputs), the transpose of what a module keeps."""
    return torch.cat([part.weight.detach() for part in parts]).to(dtype).t()


def _bias(part: torch.nn.Linear) -> torch.Tensor:
    if part.bias is None:
        return torch.zeros(part.out_features, device=part.weight.device)
    return part.bias.detach().float()


def _without_shift(
    parts: Sequence[torch.nn.Linear], shift: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of matmuls whose inputs have `shift` added; the bias takes it away."""
    weight = _weight(parts, dtype)
    bias = torch.cat([_bias(part) for part in parts])
    return weight, (bias - shift.to(dtype).float() @ weight.float()).to(dtype)
