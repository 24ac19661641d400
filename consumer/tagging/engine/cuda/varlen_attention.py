"""Attention of all windows of a pass in one call, for the bounds as they lie on the device.

`packed_attention` runs one operator a window, and needs the lengths on the host; that suits a CPU.
On a GPU it would be thousands of small kernels. Here one operator takes the whole token stream and
the bounds of its windows. So a pass is the same kernels whatever windows it holds, and can be
captured. Two operators have one signature: flash attention's, and a plain one for devices and
precisions that flash attention does not take.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from consumer.tagging.engine.packed_attention import CannotPack
from consumer.tagging.model.attention_functions import register_attention

#: (query, key, value, bounds, longest, scale) -> attended. Query, key, value and the answer have
#: the shape (tokens, heads, head size), `bounds` (windows + 1,) as int32; no window has more than
#: `longest` tokens. Rows of tokens beyond the last bound may hold anything.
VarlenOperator = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int, float], torch.Tensor
]

#: Names of the attention functions, see `use_attention`.
FLASH = "nerstream_varlen_flash"
PADDED = "nerstream_varlen_padded"

#: Sizes of a head that the operator in Triton takes: powers of two, and what a matmul of the
#: device has at least.
TRITON_HEAD_SIZES = (16, 32, 64, 128)

#: The operator of each name that `register_varlen` was given.
OPERATORS: dict[str, VarlenOperator] = {}

#: Arguments that change what attention means.
_REFUSED = ("sliding_window", "softcap", "position_bias", "s_aux", "head_mask")


def find_flash_operator() -> VarlenOperator | None:
    """`torch.nn.attention.varlen.varlen_attn`, or None where this torch has none (before 2.10)."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    takes_scale = "scale" in inspect.signature(varlen_attn).parameters

    def flash(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bounds: torch.Tensor,
        longest: int,
        scale: float,
    ) -> torch.Tensor:
        more: dict[str, Any] = {"scale": scale} if takes_scale else {}
        # torch 2.10 knows one scale alone, the usual one.
        if not takes_scale and abs(scale * query.shape[-1] ** 0.5 - 1.0) > 1e-6:
            raise CannotPack
        attended = varlen_attn(query, key, value, bounds, bounds, longest, longest, **more)
        assert isinstance(attended, torch.Tensor)  # no auxiliary outputs were asked for
        return attended

    return flash


def padded_operator(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> torch.Tensor:
    """The same by plain attention over windows side by side, in any precision on any device.

    It takes memory for windows times `longest` tokens. Its shapes do not depend on the bounds, and
    nothing waits for the device.
    """
    begins, ends = bounds[:-1, None].long(), bounds[1:, None].long()
    places = torch.arange(longest, device=query.device)
    is_text = places < ends - begins
    # A window's last token stands for the tokens that it lacks. Another window's could be NaN,
    # which no weight makes finite. Nobody reads the answer of a window without tokens.
    sources = torch.minimum(begins + places, (ends - 1).clamp(min=0)).clamp(max=len(query) - 1)
    attended = scaled_dot_product_attention(
        query[sources].transpose(1, 2),
        key[sources].transpose(1, 2),
        value[sources].transpose(1, 2),
        attn_mask=is_text[:, None, None, :],
        scale=scale,
    ).transpose(1, 2)
    tokens = torch.arange(len(query), device=query.device)
    windows = torch.searchsorted(bounds[1:].long(), tokens, right=True).clamp(max=len(bounds) - 2)
    places_of_tokens = (tokens - begins[windows, 0]).clamp(max=longest - 1)
    return attended[windows, places_of_tokens]


def register_varlen(name: str, operator: VarlenOperator) -> None:
    """Register an attention function that runs on `operator`.

    The function raises `CannotPack` where a model asks for more than attention within a window.
    """

    def attention(
        _module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        *,
        window_bounds: torch.Tensor | None = None,
        longest_window: int = 0,
        **others: Any,
    ) -> tuple[torch.Tensor, None]:
        unknown = [one for one, value in others.items() if one in _REFUSED and value is not None]
        if window_bounds is None or attention_mask is not None or dropout or unknown:
            raise CannotPack
        if query.shape[1] != key.shape[1] or query.shape[0] != 1:
            raise CannotPack
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        attended = operator(
            query[0].transpose(0, 1),
            key[0].transpose(0, 1),
            value[0].transpose(0, 1),
            window_bounds,
            longest_window,
            scale,
        )
        return attended[None], None

    register_attention(name, attention)
    OPERATORS[name] = operator


register_varlen(PADDED, padded_operator)
_flash = find_flash_operator()
if _flash is not None:
    register_varlen(FLASH, _flash)
