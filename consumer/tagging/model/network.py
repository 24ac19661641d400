"""A model's network: loaded with all of its weights, or refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING

from consumer.contracts.errors import ModelError, first_line
from consumer.tagging.model.bert import load_bert
from consumer.tagging.model.config import HEAD
from consumer.tagging.model.guard.sizes import check_network
from consumer.tagging.model.weights import ModelWeights, check_unused

#: What a configuration does not decide here: the precision of the file, since the setting does; the
#: attention, which the engine chooses; and the form of the library's answers, of which it cannot
#: take the older key.
_NOT_READ = (
    *("dtype", "torch_dtype", "return_dict", "use_return_dict", "attn_implementation"),
    *("_attn_implementation", "_attn_implementation_internal", "_attn_implementation_autoset"),
)

#: Characters of a library's error that ours repeats.
_SHOWN_CHARACTERS = 300

_log = logging.getLogger(__name__)


def load_config(name: str, folder: Path, said: Mapping[str, Any]) -> Any:
    """transformers' configuration of a model.

    Args:
        name: the model, for errors.
        folder: where it lies.
        said: what its `config.json` says.

    Raises:
        ModelError: transformers cannot make one.
    """
    if said["model_type"] not in CONFIG_MAPPING:
        raise ModelError(
            f"model {name}: its config.json names the family {said['model_type']!r} under "
            f"model_type, which transformers {transformers.__version__} does not know, and no code "
            "of a model's own is run; choose a model of a family that it knows"
        )
    _tell_architecture(name, said)
    try:
        # The library would refuse a precision that torch has no name for, such as "auto", and an
        # attention that is not installed.
        kept = {key: value for key, value in said.items() if key not in _NOT_READ}
        config = CONFIG_MAPPING[said["model_type"]].from_dict(kept)
        config.name_or_path = str(folder)
        return config
    except Exception as error:  # what it raises depends on what is wrong
        raise ModelError(
            f"model {name}: its config.json cannot be used ({_one_line(error)}); correct it, or "
            "copy or download it again"
        ) from error


def _tell_architecture(name: str, said: Mapping[str, Any]) -> None:
    """Say if the architecture is a class of somebody's own, which may compute more."""
    named = said.get("architectures") or []
    heads = [one for one in ([named] if isinstance(named, str) else named) if one.endswith(HEAD)]
    if heads and not any(one in transformers.__all__ for one in heads):
        _log.warning(
            "model %s: its config.json names the architecture %s, which transformers %s does not "
            "have; it is run as a token classifier of the family %s, and if its own class computes "
            "anything else, its entities are others",
            name,
            heads[0],
            transformers.__version__,
            said["model_type"],
        )


def load_network(
    name: str,
    folder: Path,
    config: Any,
    weights: ModelWeights,
    dtype: torch.dtype,
    modules_of_transformers: bool,
) -> Any:
    """The network of a model, with all of its weights.

    Args:
        name: the model, for errors.
        folder: where it lies.
        config: transformers' configuration of it.
        weights: what its files hold.
        dtype: precision of the weights.
        modules_of_transformers: load its modules for a BERT too, see `consumer.tagging.model.bert`.

    Raises:
        ModelError: the weights are not those of a token classifier of this configuration.
    """
    no_head = (
        f"model {name}: it has no trained token-classification head; choose a model that was "
        "fine-tuned to tag tokens, or fine-tune this one with nerstream train"
    )
    try:
        own = None if modules_of_transformers else load_bert(folder, config, dtype, weights.renamed)
        if own is not None:
            used = own.state_dict().keys()
            check_unused(name, config, weights.shapes.keys() - used, used)
            _check_finite(name, own)
            return own
        planned = _planned(config)
        if planned is not None:
            check_network(name, planned, weights.shapes)
        network, report = load_modules(str(folder), config, weights, dtype)
        _check_positions(name, network)
    except ModelError:
        raise
    except Exception as error:  # what it raises depends on the file that is wrong
        if "Unrecognized configuration class" in str(error):
            raise ModelError(no_head) from error
        if "Padding_idx must be within" in str(error):
            raise ModelError(_beyond_tables(name, config)) from error
        if isinstance(error, KeyError):
            # It looks up by name what a configuration chooses, such as `hidden_act`.
            raise ModelError(
                f"model {name}: its config.json names {error}, which transformers does not know; "
                "correct it, or copy or download it again"
            ) from error
        raise ModelError(f"model {name}: it cannot be loaded: {first_line(error)}") from error
    for key, found, expected in sorted(report["mismatched_keys"]):
        raise ModelError(
            f"model {name}: its config.json is of another model than its weights: {key} is of "
            f"shape {tuple(found)}, and would be {tuple(expected)}; put the config.json that "
            "belongs to the weights beside them"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        # The library draws what is missing at random and goes on.
        raise ModelError(_told_missing(name, network, weights, missing, no_head))
    check_unused(name, config, report["unexpected_keys"], network.state_dict().keys())
    for weight in network.parameters():
        # A weight in the file's own precision is still a part of the file, which may change under a
        # worker. How it lies there may change the last bit of a matmul.
        weight.data = weight.data.clone()
    _check_finite(name, network)
    return network


def _beyond_tables(name: str, config: Any) -> str:
    """Why a padding token that is no row of a table cannot be."""
    key = "pad_index" if hasattr(config, "pad_index") else "pad_token_id"
    sizes = ("vocab_size", "max_position_embeddings")
    rows = [f"{getattr(config, size)} by {size}" for size in sizes if hasattr(config, size)]
    return (
        f"model {name}: its config.json says {key} {getattr(config, key)}, which is no row of a "
        f"table of its weights ({', '.join(rows)}); write the number that its tokenizer has for "
        "the padding token"
    )


def _told_missing(
    name: str, network: Any, weights: ModelWeights, missing: Sequence[str], no_head: str
) -> str:
    """What is wrong with weights that are not all there."""
    base = f"{network.base_model_prefix}."
    again = "save it again with save_pretrained"
    if all(not key.startswith(base) for key in missing):
        head = [key for key in network.state_dict() if not key.startswith(base)]
        if all(key in missing for key in head):
            return no_head
        return f"model {name}: its weights lack a part of the head, {missing[0]}; {again}"
    for other in sorted({key.split(".")[0] + "." for key in weights.shapes}):
        moved = [other + key.removeprefix(base) for key in missing if key.startswith(base)]
        if other != base and all(key in weights.shapes for key in moved):
            return (
                f"model {name}: its weights have under {other} what transformers has under {base}, "
                f"{moved[0]} for one; rename them, or put the model with its head into a "
                f"{type(network).__name__} and save that with save_pretrained"
            )
    return f"model {name}: its weights lack {len(missing)} tensors, {missing[0]} for one; {again}"


def _check_positions(name: str, network: torch.nn.Module) -> None:
    """Refuse a configuration without the padding token that positions are counted from."""
    for module in network.modules():
        counts = hasattr(module, "padding_idx") and hasattr(module, "position_embeddings")
        if counts and module.padding_idx is None:
            raise ModelError(
                f"model {name}: its config.json says no pad_token_id, and models of its family "
                "count positions from it; write the number that its tokenizer has for the padding "
                "token, 1 in most"
            )


def first_position_of(network: torch.nn.Module) -> int:
    """RoBERTa and its kin number positions from the padding token's number + 1."""
    found = _positions(network)
    return 0 if found is None else found[1] + 1


def check_padding(name: str, network: torch.nn.Module, pad_id: int | None) -> None:
    """Refuse a configuration that counts positions from another token than its model was trained
    with; say where it counts from another one than the tokenizer pads with.

    The row that padding has in the table of positions is drawn as zeros, and no training moves it.

    Args:
        pad_id: the tokenizer's; None where it has none.

    Raises:
        ModelError: the weights say which one it is, and it is not the configuration's.
    """
    found = _positions(network)
    if found is None or pad_id is None or pad_id == found[1]:
        return
    rows, counted_from = found[0].weight, found[1]
    told = (
        f"model {name}: its config.json says pad_token_id {counted_from}, from which models "
        f"of its family count positions, and its tokenizer has {pad_id}"
    )
    if pad_id < len(rows) and not rows[pad_id].any() and rows[counted_from].any():
        raise ModelError(f"{told}, as the weights do; write {pad_id} in config.json")
    _log.warning("%s; its entities are right only if it was trained like that", told)


def _positions(network: torch.nn.Module) -> tuple[torch.nn.Embedding, int] | None:
    """The table of positions, and the number of the padding token from which they are counted. The
    table has it too, but a number below 0 counted from its end."""
    tables = (
        (path, module)
        for path, module in network.named_modules()
        if path.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding)
    )
    path, table = next(tables, ("", None))
    if table is None or table.padding_idx is None:
        return None
    said = getattr(network.get_submodule(path.rpartition(".")[0]), "padding_idx", None)
    return table, table.padding_idx if said is None else int(said)


def _planned(config: Any) -> torch.nn.Module | None:
    """The network that a configuration describes, without memory for its weights; None where it
    cannot be had so."""
    from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING

    kind = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING.get(type(config), None)
    if kind is None:
        return None
    try:
        with torch.device("meta"):
            planned: torch.nn.Module = kind(config)
    except Exception:  # said by who builds it in earnest
        return None
    return planned


def _check_finite(name: str, network: torch.nn.Module) -> None:
    """Refuse weights that are not finite: no answer would be finite either."""
    for key, weight in network.named_parameters():
        # A sum takes a tenth of the time, and is finite only where all of them are. Where it is
        # not, it may have grown too large by itself.
        if not weight.sum().isfinite() and not weight.isfinite().all():
            raise ModelError(
                f"model {name}: its weights hold what is no finite number (in {key}), as a "
                "training that diverged leaves them, or a precision that is too small for them; "
                "choose another model or --dtype"
            )


def load_modules(
    name: str, config: Any, weights: ModelWeights | None, dtype: torch.dtype
) -> tuple[Any, Mapping[str, Any]]:
    """transformers' modules of a token classifier, and its report of weights that are missing or
    do not fit, which are drawn at random.

    Args:
        name: folder, or hub id.
        config: transformers' configuration of it.
        weights: what the files of a folder hold; None where it is on the hub.
        dtype: precision of the weights.
    """
    # Imported here, since its modules are half of a worker's start.
    from transformers import (
        MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
        AutoModelForTokenClassification,
    )

    options = {
        "config": config,
        "dtype": dtype,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,
    }
    found: tuple[Any, Mapping[str, Any]]
    if weights is not None and weights.is_wrapped:
        # A mapping of names would be undone when the model is saved.
        kind = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(config)]
        found = kind.from_pretrained(None, state_dict=weights.read(), **options)
    else:
        found = AutoModelForTokenClassification.from_pretrained(
            name,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=weights is not None,
            **options,
        )
    return found


def _one_line(error: Exception) -> str:
    """An error of several lines, such as of a field and its fault, in one."""
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS] or type(error).__name__
