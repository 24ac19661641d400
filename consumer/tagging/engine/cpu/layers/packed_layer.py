"""PackedLayer: what takes the place of an encoder's layer in a packed network, if it may."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from consumer.tagging.engine.cpu.layers.row_blocks import WHOLE, RowBlocks, RowProbes
from consumer.tagging.engine.encoder_layers import LayerWeights, find_layers, read_layer
from consumer.tagging.engine.packed_attention import PACKED, CannotPack, packed_logits
from consumer.tagging.model.attention_functions import attention_of, use_attention

#: Tokens of the two windows that a layer is tried on.
_PROBE_TOKENS = (50, 7)

#: Largest difference that rounding explains in float32, relative to the largest value.
PROBE_TOLERANCE = 1e-4


class PackedLayer(torch.nn.Module, ABC):
    """Takes the place of a layer in a packed network; what it computes is its subclass's.

    Attributes:
        is_last: whether it may leave out tokens: what follows is the classifier, which sees each
            token by itself.
        blocks: those in which tokens go through the parts that compute each token by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_last = False
        self.blocks: RowBlocks = WHOLE

    def forward(
        self,
        hidden: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *_: Any,
        window_lengths: Sequence[int] | None = None,
        kept_tokens: torch.Tensor | None = None,
        **__: Any,
    ) -> torch.Tensor:
        """Shape (1, tokens, hidden size) in and out, windows end to end.

        Args:
            kept_tokens: places of those that the last layer gives, shape (kept,).

        Raises:
            CannotPack: it is called otherwise than `packed_logits` calls it.
        """
        if window_lengths is None or attention_mask is not None or len(hidden) != 1:
            raise CannotPack
        kept = kept_tokens if self.is_last else None
        return self.compute(hidden[0], window_lengths, kept)[None]

    @abstractmethod
    def compute(
        self, hidden: torch.Tensor, window_lengths: Sequence[int], kept: torch.Tensor | None
    ) -> torch.Tensor:
        """Shape (tokens, hidden size) to (tokens, or kept, hidden size)."""

    def row_probes(self) -> RowProbes:
        """Its matmuls for `steady_rows`; none where a token's answer does not depend on the number
        of tokens."""
        return {}


#: Makes a packed layer of the weights of a network's own.
LayerMaker = Callable[[LayerWeights], PackedLayer]


@torch.inference_mode()
def can_fuse(network: Any, make: LayerMaker, tolerance: float = PROBE_TOLERANCE) -> bool:
    """Whether packed layers of a network's weights compute what its own layers compute.

    Tried on the layers at hand. So a model with something of its own between the matmuls is never
    fused, and neither is one whose layers a kernel has wrong on this machine. Leaves the network
    as it was.

    Args:
        make: makes a packed layer of the weights of one.
        tolerance: largest difference, relative to the largest value.
    """
    layers = find_layers(network)
    if layers is None:
        return False
    plain_attention = attention_of(network)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, sum(_PROBE_TOKENS), network.config.hidden_size, generator=generator)
    try:
        use_attention(network, PACKED)
        for layer in layers:
            own = copy.deepcopy(layer).float()
            weights = read_layer(own)
            assert weights is not None
            expected = own(hidden, None, window_lengths=_PROBE_TOKENS)
            found = make(weights)(hidden, window_lengths=_PROBE_TOKENS)
            largest = tolerance * float(expected.abs().max())
            # Written so that what is not a number is not allowed.
            if not float((found - expected).abs().max()) <= largest:
                return False
            hidden = expected
    except Exception:  # whatever a layer does that is not called as it is used to
        return False
    finally:
        use_attention(network, plain_attention)
    return True


class _SameLayer(PackedLayer):
    """Gives what it is given."""

    def compute(
        self, hidden: torch.Tensor, _lengths: Sequence[int], _kept: torch.Tensor | None
    ) -> torch.Tensor:
        return hidden


@torch.inference_mode()
def takes_layers(network: Any, first_position: int) -> bool:
    """Whether a network runs with packed layers in the place of its own: one may look into its
    layers instead of calling them (X-MOD). Leaves the network as it was.

    Args:
        first_position: position of a window's first token.
    """
    layers = find_layers(network)
    if layers is None:
        return False
    own, plain_attention = list(layers), attention_of(network)
    try:
        use_attention(network, PACKED)
        for index in range(len(own)):
            layers[index] = _SameLayer()
        packed_logits(network, torch.zeros(2, dtype=torch.long), (1, 1), first_position)
    except Exception:  # whatever a network does that wants layers of its own
        return False
    finally:
        for index, layer in enumerate(own):
            layers[index] = layer
        use_attention(network, plain_attention)
    return True


@torch.inference_mode()
def fuse_layers(network: Any, make: LayerMaker) -> None:
    """Put packed layers in the place of a network's own, which are let go one by one.

    Args:
        make: makes a packed layer of the weights of one.
    """
    layers = find_layers(network)
    assert layers is not None
    for index, layer in enumerate(layers):
        weights = read_layer(layer)
        assert weights is not None
        layers[index] = make(weights)
