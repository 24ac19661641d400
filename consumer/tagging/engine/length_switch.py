"""At which lengths a model begins to compute otherwise: two lengths in a pass would then be one's.

A model with `longrope` has one set of rotary frequencies up to the length that it was trained with
and another beyond it. Its network takes the set of the longest window of a pass for all of them,
and keeps it in a buffer that all threads share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.tagging.model.loaded_model import LoadedModel

_KEY = "original_max_position_embeddings"


def length_switches(model: LoadedModel) -> tuple[int, ...]:
    """The lengths in tokens, ascending: longer windows are computed otherwise than those of so
    many. None beyond the longest window."""
    said: Any = getattr(model.network.config, "rope_parameters", None)
    if not isinstance(said, Mapping):
        return ()
    # One for all layers, or one for each kind of layer.
    kinds = [one for one in (said, *said.values()) if isinstance(one, Mapping)]
    limits = {one.get(_KEY) for one in kinds if one.get("rope_type") == "longrope"}
    lengths = {int(limit) - model.first_position for limit in limits if limit}
    return tuple(sorted(length for length in lengths if 0 < length < model.max_tokens))
