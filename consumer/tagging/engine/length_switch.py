"""At which lengths a model begins to compute otherwise: two lengths in a pass would then be one's.

A model with `longrope` has one set of rotary frequencies up to the length that it was trained with
and another beyond it. Its network takes the set of the longest window of a pass for all of them,
and keeps it in a buffer that all threads share.

BigBird attends to all of a short window, and to some blocks of a long one: the last among them, so
that filling up changes the answer. Its network goes over to full attention at the first short
window, for good. Here each window has the attention that is its length's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from consumer.tagging.model.loaded_model import LoadedModel

_KEY = "original_max_position_embeddings"


def length_switches(model: LoadedModel) -> Sequence[int]:
    """The lengths in tokens, ascending: longer windows are computed otherwise than those of so
    many. None beyond the longest window. All from one on where no two lengths may run together."""
    config: Any = model.network.config
    sparse = sparse_beyond(config)
    if sparse is not None:
        return range(sparse, model.max_tokens)
    said = getattr(config, "rope_parameters", None)
    if not isinstance(said, Mapping):
        return ()
    # One for all layers, or one for each kind of layer.
    kinds = [one for one in (said, *said.values()) if isinstance(one, Mapping)]
    limits = {one.get(_KEY) for one in kinds if one.get("rope_type") == "longrope"}
    lengths = {int(limit) - model.first_position for limit in limits if limit}
    return tuple(sorted(length for length in lengths if 0 < length < model.max_tokens))


def told(switches: Sequence[int]) -> list[str]:
    """How windows run that are longer, for the log."""
    if isinstance(switches, range):
        return [f"more than {switches[0]} tokens one length at a time"] if switches else []
    return [f"more than {length} tokens apart" for length in switches]


def sparse_beyond(config: Any) -> int | None:
    """The longest window that a BigBird attends to all of; None for any other model."""
    if config.model_type != "big_bird" or config.attention_type != "block_sparse":
        return None
    # Two blocks of global tokens, three that slide, and twice the random ones.
    return int((5 + 2 * config.num_random_blocks) * config.block_size)


def use_attention_of(network: Any, tokens: int) -> None:
    """Give a BigBird the attention that windows of so many tokens have; leaves others alone."""
    limit = sparse_beyond(network.config)
    if limit is None:
        return
    # Its new layers are given the weights of the old ones; until then they need none.
    with torch.device("meta"):
        network.base_model.set_attention_type("block_sparse" if tokens > limit else "original_full")
