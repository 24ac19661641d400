"""Loading a token-classification model, and refusing what is none.

Any model of `AutoModelForTokenClassification` with a fast tokenizer, weights as safetensors only,
and no code from its repository.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer

from consumer.contracts.errors import ModelError, first_line
from consumer.contracts.messages import ModelInfo
from consumer.contracts.model_choices import Dtype
from consumer.tagging.model.bert import load_bert
from consumer.tagging.model.device import find_device, find_precision, precision_of_model
from consumer.tagging.model.faithful_dtypes import read_faithful_dtypes
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.labels import Labels, read_labels

#: Longest window of a model that names no limit of its own.
DEFAULT_MAX_TOKENS = 512

#: A tokenizer without a limit names an absurd one (1e30).
_ABSURD_TOKENS = 1_000_000

#: Files that a fast tokenizer can be made from; without one the library makes an empty one.
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


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
        asked_dtype: the precision that was asked for, `auto` perhaps; `info` has what that is.
        is_settled: whether its attention is known to pack and its layers to take that one, so that
            neither need be tried.
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
    is_settled: bool = False

    @property
    def special_tokens(self) -> int:
        """Special tokens of each window."""
        return len(self.prefix_ids) + len(self.suffix_ids)

    @property
    def is_exact(self) -> bool:
        """Whether float32 was asked for by name: numbers are then transformers' own, to the last
        digits."""
        return self.asked_dtype == Dtype.FLOAT32


def load_model(
    name: str,
    revision: str,
    device: str,
    dtype: str,
    threads: int,
    *,
    modules_of_transformers: bool = False,
) -> LoadedModel:
    """Load a model. Blocks, for the download too where it is on the hub and not yet here.

    Args:
        name: hub id, local folder or `bundled`.
        revision: commit, tag or branch of the hub repository; empty takes `main`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: one of `consumer.contracts.model_choices.Dtype`. Where `auto` is int16 it may turn out that the
            model's layers do not take it, see `consumer.tagging.select.settle_precision`.
        threads: CPU threads for the whole process; 0 leaves it to torch.
        modules_of_transformers: load its modules for a BERT too, see `consumer.tagging.model.bert`.

    Raises:
        ModelError: it cannot be found or loaded, is no token classifier, or the device is absent.
    """
    torch_device = find_device(name, device)
    precision = find_precision(name, dtype, torch_device)
    folder = find_model_folder(name, revision)
    if dtype == Dtype.AUTO:
        known = read_faithful_dtypes(name, folder.path)
        precision = precision_of_model(precision, torch_device, known)
    # Its warnings are about training, or name what is checked and said better here.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fast_tokenizer = _load_tokenizer(name, folder.path)
        network = _load_network(name, folder.path, precision.weights, modules_of_transformers)
    labels = read_labels(network.config.id2label, name)
    if threads > 0:
        torch.set_num_threads(threads)
    tokenizer = Tokenizer.from_str(fast_tokenizer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # An article that says "[SEP]" means the letters.
    tokenizer.encode_special_tokens = True
    _check_vocabulary(name, tokenizer, network)
    prefix_ids, suffix_ids = _special_ids(fast_tokenizer)
    first_position = _first_position(network)
    max_tokens = _max_tokens(fast_tokenizer, network.config, first_position)
    if max_tokens <= len(prefix_ids) + len(suffix_ids):
        raise ModelError(
            f"model {name}: its longest input is {max_tokens} tokens, which leaves none for text; "
            "correct model_max_length in tokenizer_config.json"
        )
    return LoadedModel(
        network=network.eval().to(torch_device),
        tokenizer=tokenizer,
        labels=labels,
        info=ModelInfo(
            name=folder.name,
            revision=folder.revision,
            device=str(torch_device),
            dtype=precision.name,
            types=labels.types,
            scheme=labels.scheme,
            outside=labels.outside,
        ),
        device=torch_device,
        max_tokens=max_tokens,
        prefix_ids=prefix_ids,
        suffix_ids=suffix_ids,
        unknown_id=fast_tokenizer.unk_token_id,
        pad_id=fast_tokenizer.pad_token_id or 0,
        first_position=first_position,
        asked_dtype=dtype,
    )


def _load_tokenizer(name: str, folder: Path) -> Any:
    problem = "no tokenizer files"
    if any(any(folder.glob(pattern)) for pattern in _TOKENIZER_FILES):
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, use_fast=True, trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # what it raises depends on the tokenizer's class
            problem = first_line(error)
        else:
            if tokenizer.is_fast:
                return tokenizer
            problem = "only a slow one"
    raise ModelError(
        f"model {name}: it has no fast tokenizer, which exact offsets need ({problem}); "
        "add a tokenizer.json to it"
    )


def _load_network(
    name: str, folder: Path, dtype: torch.dtype, modules_of_transformers: bool
) -> Any:
    no_head = (
        f"model {name}: it has no trained token-classification head; choose a model that was "
        "fine-tuned to tag tokens, or fine-tune this one with nerstream train"
    )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        own = None if modules_of_transformers else load_bert(folder, config, dtype)
        if own is not None:
            return own
        # Here, since importing its modules is half of a worker's start.
        from transformers import AutoModelForTokenClassification

        network, report = AutoModelForTokenClassification.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # what it raises depends on the file that is wrong
        if "Unrecognized configuration class" in str(error):
            raise ModelError(no_head) from error
        raise ModelError(f"model {name}: it cannot be loaded: {first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        # The library fills what is missing with random numbers and goes on.
        is_head = all(not key.startswith(f"{network.base_model_prefix}.") for key in missing)
        raise ModelError(
            no_head
            if is_head
            else f"model {name}: its weights lack {len(missing)} tensors, {missing[0]} for one; "
            "save it again with save_pretrained"
        )
    for weight in network.parameters():
        # What has the precision of the file is a part of it still, which may change under a
        # worker's feet, and lies as it lies there, which may change the last bit of a product.
        weight.data = weight.data.clone()
    return network


def _check_vocabulary(name: str, tokenizer: Tokenizer, network: Any) -> None:
    """A tokenizer of another model would ask for embeddings that are not there."""
    embeddings = count_tokens(network)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if highest < 0 or highest >= embeddings:
        raise ModelError(
            f"model {name}: its tokenizer counts to token {highest}, its weights know {embeddings} "
            "tokens; put the tokenizer that belongs to the model beside it"
        )


def count_tokens(network: Any) -> int:
    """How many different tokens a network knows."""
    # Not `num_embeddings`, which quantised ones lack (I-BERT).
    return len(network.get_input_embeddings().weight)


def _special_ids(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, mask = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    text = [place for place, is_special in enumerate(mask) if not is_special]
    return tuple(ids[: text[0]]), tuple(ids[text[-1] + 1 :])


def _first_position(network: Any) -> int:
    """RoBERTa and its kin number positions from padding_idx + 1, and their table says so."""
    for path, module in network.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def _max_tokens(tokenizer: Any, config: Any, first_position: int) -> int:
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        limits.append(positions - first_position)
    if tokenizer.model_max_length and tokenizer.model_max_length < _ABSURD_TOKENS:
        limits.append(int(tokenizer.model_max_length))
    return min(limits, default=DEFAULT_MAX_TOKENS)
