"""Sizes that a configuration names, and code that it asks for, refused before anything is built.

Libraries build what they are told: a billion layers, or a table for a billion tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from consumer.contracts.errors import ModelError

if TYPE_CHECKING:
    import torch

#: The largest of what a configuration counts; the largest vocabulary in use has a million tokens.
MOST = 10_000_000
#: Layers. The deepest model that tags tokens has 48.
MOST_LAYERS = 1_000

#: Keys that hold a size.
_SIZE = re.compile(
    r"^(num|n|d|max)_|(^|_)(size|sizes|layers?|heads?|dims?|positions?|length|embd|ctx|experts|"
    r"groups|blocks|channels|buckets|width|labels)$"
)
_LAYERS = re.compile(r"^n_layers?$|(^|_)(num|hidden)_layers$|^num_hidden_layers$|_layers$")
#: Keys that look as if they did.
_NO_SIZE = re.compile(r"_ids?$|^(num|n)_return|temperature|penalty|^max_(time|shard)|_prob$|_std$")
#: Sizes for which libraries write a negative number in place of none.
_MAY_BE_NEGATIVE = re.compile("relative|window|bucket|reflen|^max_length$|^min_length$")
#: Sizes without which there is nothing.
_NEEDED = ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")


def check_sizes(name: str, file: str, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that names an absurd size.

    Args:
        name: the model, for errors.
        file: that holds the configuration.

    Raises:
        ModelError: see above.
    """
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_sizes(name, file, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_size(name, file, key, value)


def _check_size(name: str, file: str, key: str, value: float) -> None:
    if not _SIZE.search(key) or _NO_SIZE.search(key):
        return
    least = 1 if key in _NEEDED else 0
    most = MOST_LAYERS if _LAYERS.search(key) else MOST
    if value < least and not (value < 0 and _MAY_BE_NEGATIVE.search(key)):
        limit = f"must be at least {least}"
    elif value > most:
        limit = f"may be at most {most:,}"
    else:
        return
    raise ModelError(
        f"model {name}: its {file} says {key} {json.dumps(value)}, which {limit}; correct it, or "
        "copy or download it again"
    )


def check_no_code(name: str, file: str, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that names code of the model's own, which is never run. Without it the
    answers might be another model's.

    Raises:
        ModelError: see above.
    """
    named = config.get("auto_map")
    if not named:
        return
    code = next(iter(named.values()), named) if isinstance(named, Mapping) else named
    raise ModelError(
        f"model {name}: its {file} asks for code of its own (auto_map: {json.dumps(code)[:100]}), "
        "and no code that comes with a model is run; choose a model that transformers knows by "
        "itself, or remove auto_map where its model_type computes the same"
    )


def check_network(
    name: str, network: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a network that is of another size than the weights, before memory is taken for it.

    Args:
        name: the model, for errors.
        network: built of the configuration alone, without memory (on the device `meta`).
        shapes: of the weights, by name.

    Raises:
        ModelError: see above.
    """
    lacking = 0
    for key, weight in network.named_parameters():
        found = shapes.get(key)
        if found is None:
            lacking += weight.numel()
        elif found != tuple(weight.shape):
            raise ModelError(
                f"model {name}: its config.json is of another model than its weights: {key} is of "
                f"shape {found}, and would be {tuple(weight.shape)}; put the config.json that "
                "belongs to the weights beside them"
            )
    present = sum(prod(shape) for shape in shapes.values())
    if lacking > present + MOST:
        raise ModelError(
            f"model {name}: its config.json is of another model than its weights: it describes "
            f"{lacking:,} numbers that its weights, of {present:,}, do not have; put the "
            "config.json that belongs to the weights beside them"
        )
