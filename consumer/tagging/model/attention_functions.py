"""Attention functions by name: the one place through which a network is given another attention.

A network keeps the name of its attention in its configuration, as those of transformers do, and
calls the function of that name in each layer. `Bert` looks the function up here. transformers has a
table of its own, which is told only when one of its networks is given the name. So its modelling
code is not imported for the sake of a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

#: (module, query, key, value, attention mask, scaling, dropout, and what the network was called
#: with) -> (attended, None). Query, key and value have the shape (1, heads, tokens, head size),
#: the answer (1, tokens, heads, head size).
AttentionFunction = Callable[..., tuple[torch.Tensor, None]]

_FUNCTIONS: dict[str, AttentionFunction] = {}


def register_attention(name: str, function: AttentionFunction) -> None:
    """Let `use_attention` know a function."""
    _FUNCTIONS[name] = function


def find_attention(name: object) -> AttentionFunction | None:
    """The function of that name, if one was registered."""
    return _FUNCTIONS.get(name) if isinstance(name, str) else None


def attention_of(network: Any) -> str | None:
    """The name of the attention that a network has now, for `use_attention` to give it back."""
    name: str | None = network.config._attn_implementation
    return name


def use_attention(network: Any, name: str | None) -> None:
    """Give a network the attention of that name, or one that it had before."""
    function = find_attention(name)
    if function is not None and not getattr(network, "finds_attention", False):
        from transformers import AttentionInterface

        AttentionInterface.register(name, function)
    network.config._attn_implementation = name
