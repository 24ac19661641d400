"""Loading a token-classification model, and refusing what is none.

Any model of `AutoModelForTokenClassification` with a fast tokenizer, weights as safetensors only,
and no code from its repository.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from inspect import signature
from math import prod
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer

from consumer.contracts.choices import Dtype
from consumer.contracts.errors import ModelError
from consumer.contracts.messages import ModelInfo
from consumer.tagging.model.config import labels_in, read_config, read_tokenizer_config
from consumer.tagging.model.device import loaded_as
from consumer.tagging.model.folder import ModelFolder
from consumer.tagging.model.guard.panics import refused_where_it_breaks
from consumer.tagging.model.labels import Labels, read_labels
from consumer.tagging.model.memory import free_host_memory
from consumer.tagging.model.network import (
    check_padding,
    first_position_of,
    load_config,
    load_network,
)
from consumer.tagging.model.tokenizer_check import (
    SAMPLE,
    check_added_tokens,
    check_answers,
    check_case,
    check_special_tokens,
    check_token_types,
    check_vocabulary,
)
from consumer.tagging.model.tokenizer_document import to_read_with
from consumer.tagging.model.tokenizer_files import is_of_family, load_tokenizer, own_vocabulary
from consumer.tagging.model.weights import (
    ModelWeights,
    check_kind,
    check_layers,
    check_outputs,
    read_weights,
)

#: Longest window of a model that names no limit of its own.
DEFAULT_MAX_TOKENS = 512

_MEBIBYTE = 2**20

#: A tokenizer without a limit names an absurd one (1e30).
_ABSURD_TOKENS = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that is ready to answer.

    Attributes:
        network: the model, in evaluation mode, on its device.
        tokenizer: without truncation, padding and special tokens in the text.
        labels: what its outputs mean.
        info: its name, revision, device and precision.
        device: where it runs.
        max_tokens: longest window, special tokens included.
        prefix_ids, suffix_ids: special tokens before and after a window's tokens.
        unknown_id: the unknown token, if the tokenizer has one.
        pad_id: what fills a shorter window.
        first_position: position of a window's first token (RoBERTa counts from padding_idx + 1).
        asked_dtype: the precision that was asked for, `auto` perhaps; `info` has the one that it is
            computed in.
    """

    network: Any
    tokenizer: Tokenizer
    labels: Labels
    info: ModelInfo
    device: torch.device
    max_tokens: int
    prefix_ids: tuple[int, ...]
    suffix_ids: tuple[int, ...]
    unknown_id: int | None
    pad_id: int
    first_position: int
    asked_dtype: str

    @property
    def special_tokens(self) -> int:
        """Special tokens of each window."""
        return len(self.prefix_ids) + len(self.suffix_ids)

    @property
    def is_exact(self) -> bool:
        """Whether float32 was asked for by name. Scores are then transformers' own, to the last
        digits."""
        return self.asked_dtype == Dtype.FLOAT32


def load_from_folder(
    name: str,
    folder: ModelFolder,
    device: torch.device,
    dtype: Dtype,
    threads: int,
    *,
    asked_dtype: str,
    modules_of_transformers: bool = False,
) -> LoadedModel:
    """Load a model that is here, see `consumer.tagging.select.load_model`. Blocks.

    Args:
        name: the model, for errors.
        folder: where it lies.
        device: where it will run.
        dtype: any precision but `auto`.
        threads: CPU threads for the whole process; 0 leaves it to torch.
        asked_dtype: the precision that was asked for, `auto` perhaps.
        modules_of_transformers: load its modules for a BERT too, see `consumer.tagging.model.bert`.

    Raises:
        ModelError: it cannot be loaded, or is no token classifier.
    """
    said = read_config(name, folder.path)
    tokenizer_said = read_tokenizer_config(name, folder.path)
    weights = read_weights(name, folder.path)
    check_kind(name, weights)
    _check_memory(name, weights, loaded_as(dtype))
    id2label = labels_in(name, said)
    check_outputs(name, weights, len(id2label))
    labels = read_labels(id2label, name)
    # Its warnings are about training, or name what is checked and said better here. Its errors are
    # raised, too, and shown would be a whole configuration.
    transformers.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = load_config(name, folder.path, said)
        check_layers(name, weights, config)
        fast_tokenizer = load_tokenizer(name, folder.path, said, tokenizer_said, config)
        network = load_network(
            name, folder.path, config, weights, loaded_as(dtype), modules_of_transformers
        )
    if threads > 0:
        torch.set_num_threads(threads)
    tokenizer = to_read_with(fast_tokenizer.backend_tokenizer.to_str())
    # An article that says "[SEP]" means the letters.
    tokenizer.encode_special_tokens = True
    check_added_tokens(name, tokenizer)
    is_odd = check_answers(name, tokenizer, fast_tokenizer.unk_token_id)
    is_odd = is_odd or not is_of_family(tokenizer, said)
    with refused_where_it_breaks(name):
        check_case(name, tokenizer, fast_tokenizer.unk_token_id)
        prefix_ids, suffix_ids = _special_ids(fast_tokenizer)
        if _is_given_types(network, fast_tokenizer):
            read = fast_tokenizer(SAMPLE[0], return_special_tokens_mask=True)
            check_token_types(name, read["token_type_ids"], read["special_tokens_mask"])
    pieces = own_vocabulary(folder.path)
    if pieces is not None:
        named = fast_tokenizer.special_tokens_map
        check_special_tokens(name, named, pieces, (*prefix_ids, *suffix_ids))
    pad_id = fast_tokenizer.pad_token_id or 0
    embeddings = _embeddings(network)
    if embeddings is not None:
        special_ids = {*prefix_ids, *suffix_ids}
        check_vocabulary(name, tokenizer, embeddings, special_ids, is_odd=is_odd)
        # A padding token of the tokenizer alone has no embedding. Any token will do, since what it
        # fills is not read.
        pad_id = pad_id if pad_id < embeddings else 0
    check_padding(name, network, fast_tokenizer.pad_token_id)
    first_position = first_position_of(network)
    max_tokens = _max_tokens(fast_tokenizer, network.config, first_position)
    if max_tokens <= len(prefix_ids) + len(suffix_ids):
        raise ModelError(
            f"model {name}: its longest input is {max_tokens} tokens, which leaves none for text; "
            "correct model_max_length in tokenizer_config.json"
        )
    _tell_labels(folder.name, labels)
    return LoadedModel(
        network=network.eval().to(device),
        tokenizer=tokenizer,
        labels=labels,
        info=ModelInfo(
            name=folder.name,
            revision=folder.revision,
            device=str(device),
            dtype=dtype.value,
            types=labels.types,
            scheme=labels.scheme,
            outside=labels.outside,
        ),
        device=device,
        max_tokens=max_tokens,
        prefix_ids=prefix_ids,
        suffix_ids=suffix_ids,
        unknown_id=fast_tokenizer.unk_token_id,
        pad_id=pad_id,
        first_position=first_position,
        asked_dtype=asked_dtype,
    )


def _check_memory(name: str, weights: ModelWeights, dtype: torch.dtype) -> None:
    """Refuse weights that this machine has no memory for. Those for a GPU pass through it too."""
    needed = sum(prod(shape) for shape in weights.shapes.values()) * dtype.itemsize
    free = free_host_memory()
    if free is not None and needed > free:
        raise ModelError(
            f"model {name}: its weights take {needed / _MEBIBYTE:,.0f} MiB, and this machine, or "
            f"its container, has {free / _MEBIBYTE:,.0f} MiB of memory free; give the worker more "
            "memory, or choose a smaller model"
        )


def _tell_labels(name: str, labels: Labels) -> None:
    """Say how the labels were understood, aloud where they are out of the ordinary."""
    _log.log(
        logging.INFO if labels.is_usual else logging.WARNING,
        "model %s: labels read as %s, outside %s, types %s",
        name,
        labels.scheme,
        ", ".join(labels.outside),
        ", ".join(labels.types),
    )


def _embeddings(network: Any) -> int | None:
    """Rows of the table of tokens; None for a network that hashes characters and has none."""
    try:
        rows: int = network.get_input_embeddings().weight.shape[0]
    except (NotImplementedError, AttributeError):
        return None
    return rows


def count_tokens(network: Any) -> int:
    """How many different tokens a network knows."""
    # Not `num_embeddings`, which quantized tables lack (I-BERT).
    return len(network.get_input_embeddings().weight)


def _special_ids(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    for sample in SAMPLE:  # of which the tokenizer can read one at least
        encoded = tokenizer(sample, return_special_tokens_mask=True)
        ids, mask = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
        text = [place for place, is_special in enumerate(mask) if not is_special]
        if text:
            return tuple(ids[: text[0]]), tuple(ids[text[-1] + 1 :])
    return (), ()


def _is_given_types(network: Any, tokenizer: Any) -> bool:
    """Whether transformers would give the network a type of each token."""
    if "token_type_ids" not in tokenizer.model_input_names:
        return False
    known = getattr(network.config, "type_vocab_size", None)
    if isinstance(known, int):
        return known > 1
    return "token_type_ids" in signature(network.forward).parameters


def _max_tokens(tokenizer: Any, config: Any, first_position: int) -> int:
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        limits.append(positions - first_position)
    if tokenizer.model_max_length and tokenizer.model_max_length < _ABSURD_TOKENS:
        limits.append(int(tokenizer.model_max_length))
    return min(limits, default=DEFAULT_MAX_TOKENS)
