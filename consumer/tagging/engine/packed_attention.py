"""Attention within each window over the concatenated tokens of many windows.

Registered by a name, it takes the place of a model's attention function. All else in an encoder
works on single tokens, so windows laid end to end need no padding. A model cannot be packed if it
does not hand `window_lengths` through, or wants a mask, a bias or a sliding window. `can_pack`
finds out by trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from consumer.tagging.engine.length_switch import length_switches
from consumer.tagging.engine.probe_windows import in_float32, probe_windows
from consumer.tagging.model.attention_functions import (
    attention_of,
    register_attention,
    use_attention,
)
from consumer.tagging.model.loaded_model import LoadedModel

#: The name of the function, see `use_attention`.
PACKED = "nerstream_packed"

#: Tokens of the two windows that are tried, at most; the first is longer than the sliding windows
#: in use (ModernBERT: 128).
_PROBE_TOKENS = (200, 7)

#: Largest difference of logits in float32 that rounding explains, relative to the largest logit.
_PROBE_TOLERANCE = 1e-4


class CannotPack(Exception):
    """The model needs an attention other than plain attention within a window."""


def packed_attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    window_lengths: Sequence[int] | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each window to itself.

    Args:
        query, key, value: shape (1, heads, tokens, head size), windows end to end.
        window_lengths: tokens of each window, in order.

    Returns:
        Shape (1, tokens, heads, head size), and no attention weights.

    Raises:
        CannotPack: the model asks for more than that.
    """
    unknown = [name for name, value in others.items() if name in _REFUSED and value is not None]
    if window_lengths is None or attention_mask is not None or dropout or unknown:
        raise CannotPack
    if query.shape[1] != key.shape[1] or query.shape[0] != 1:
        raise CannotPack
    answer = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    start = 0
    for length in window_lengths:
        window = slice(start, start + length)
        answer[:, window] = scaled_dot_product_attention(
            query[:, :, window], key[:, :, window], value[:, :, window], scale=scaling
        ).transpose(1, 2)
        start += length
    return answer, None


#: Arguments that change what attention means.
_REFUSED = ("sliding_window", "softcap", "position_bias", "s_aux", "head_mask")

register_attention(PACKED, packed_attention)


def packed_logits(
    network: Any,
    ids: torch.Tensor,
    window_lengths: Sequence[int],
    first_position: int,
    **for_layers: Any,
) -> torch.Tensor:
    """Logits of windows laid end to end.

    Args:
        network: a model whose attention is `PACKED`.
        ids: shape (tokens,).
        window_lengths: tokens of each window, in order.
        for_layers: handed to each layer.

    Returns:
        Shape (tokens, outputs), of as many tokens as the last layer gives.
    """
    lengths = torch.tensor(window_lengths)
    begins = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    positions = torch.arange(len(begins)) - begins + first_position
    logits: torch.Tensor = network(
        input_ids=ids[None],
        position_ids=positions[None].to(ids.device),
        window_lengths=tuple(window_lengths),
        **for_layers,
    ).logits[0]
    return logits


@torch.inference_mode()
def can_pack(model: LoadedModel) -> bool:
    """Whether two windows give the same logits packed and one by one, in float32 on their device.

    Tried on the model at hand rather than looked up by its name, so that a model of a new kind is
    never packed wrongly. One that computes longer windows otherwise is not: windows that are packed
    run beside each other in several threads. Leaves the model as it was.
    """
    if length_switches(model):
        return False
    network = in_float32(model.network)
    plain_attention = attention_of(network)
    windows = probe_windows(model, _PROBE_TOKENS)
    lengths = [len(window) for window in windows]
    ids = torch.from_numpy(np.concatenate(windows)).to(model.device, torch.long)
    try:
        parts = ids.split(lengths)
        expected = torch.cat([network(input_ids=part[None]).logits[0] for part in parts])
        use_attention(network, PACKED)
        answer = packed_logits(network, ids, lengths, model.first_position)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever a model does that does not know these arguments, or wants others
        return False
    finally:
        use_attention(network, plain_attention)
    tolerance = _PROBE_TOLERANCE * float(expected.abs().max())
    return answer.shape == expected.shape and bool(((answer - expected).abs() <= tolerance).all())
