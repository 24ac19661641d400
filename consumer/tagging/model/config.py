"""What a model's `config.json` and `tokenizer_config.json` must say, checked before their use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consumer.contracts.errors import ModelError
from consumer.tagging.model.files import json_kind, read_json
from consumer.tagging.model.guard.sizes import check_no_code, check_sizes

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
ADAPTER_CONFIG = "adapter_config.json"

#: How the names of architectures end that tag tokens.
HEAD = "ForTokenClassification"

#: Digits of the number of an output.
_OUTPUT_DIGITS = 9


def read_config(name: str, folder: Path) -> Mapping[str, Any]:
    """The configuration of a token classifier, as far as it can be checked without its weights.

    Args:
        name: the model, for errors.
        folder: where it lies.

    Raises:
        ModelError: there is none, it cannot be read, or it is of something else.
    """
    if (folder / ADAPTER_CONFIG).is_file() and not has_model(folder):
        raise ModelError(adapter_alone(name, folder))
    if not (folder / CONFIG).exists():
        raise ModelError(
            f"model {name}: it has no {CONFIG}; name the folder that save_pretrained has written"
        )
    config = read_json(name, folder / CONFIG)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(
            f"model {name}: {CONFIG} must name the family of the model under model_type, such as "
            f'"bert"{_found(config, "model_type")}'
        )
    _check_architecture(name, config)
    check_no_code(name, CONFIG, config)
    check_sizes(name, CONFIG, config)
    _check_quantized(name, config)
    return config


def _check_quantized(name: str, config: Mapping[str, Any]) -> None:
    """Refuse weights that only another library can read."""
    said = config.get("quantization_config")
    if said is None:
        return
    method = said.get("quant_method") if isinstance(said, dict) else said
    by = f" by {method[:40]}" if isinstance(method, str) and method else ""
    raise ModelError(
        f"model {name}: its {CONFIG} says that its weights are quantized{by} "
        "(quantization_config), and only whole ones are read; choose the model that it was made "
        "from, which --dtype int8 quantizes here, or remove quantization_config where its weights "
        "are float32, float16 or bfloat16"
    )


def has_model(folder: Path) -> bool:
    """Whether a folder holds a whole model, not only what changes another one."""
    weights = ("model.safetensors", "model.safetensors.index.json")
    return (folder / CONFIG).is_file() and any((folder / file).is_file() for file in weights)


def adapter_alone(name: str, folder: Path) -> str:
    """What is wrong with a folder that holds a PEFT adapter and no model."""
    base = read_json(name, folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    of = f" of {base}" if isinstance(base, str) and base else ""
    return (
        f"model {name}: it is a PEFT adapter{of}, not a whole model; merge it into its base once, "
        "with model.merge_and_unload().save_pretrained(FOLDER) and the tokenizer beside it, and "
        "name that FOLDER"
    )


def labels_in(name: str, config: Mapping[str, Any]) -> dict[int, str]:
    """The label of each output: as `id2label` says, or `label2id` where only that has names.

    Raises:
        ModelError: the configuration has them in another form, or not all.
    """
    key = f"model {name}: id2label in its {CONFIG}"
    example = 'it must give each output its label, {"0": "O", "1": "B-PER", ...}'
    id2label = config.get("id2label")
    if id2label is None or id2label == {}:
        raise ModelError(
            f"model {name}: its labels have no names, since its {CONFIG} has no id2label; {example}"
        )
    if not isinstance(id2label, dict):
        raise ModelError(f"{key} is {json_kind(id2label)}; {example}")
    if id2label and all(type(value) is int for value in id2label.values()):
        if all(isinstance(key, str) and not key.isdecimal() for key in id2label):
            raise ModelError(f"{key} is the wrong way round, from label to output; {example}")
        raise ModelError(f"{key} has numbers in place of labels; {example}")
    labels: dict[int, str] = {}
    for number, label in id2label.items():
        if not number.isdecimal() or len(number) > _OUTPUT_DIGITS:
            shown = number[: 2 * _OUTPUT_DIGITS]
            raise ModelError(f"{key} has the key {shown!r}; {example}")
        if not isinstance(label, str):
            raise ModelError(f"{key} gives output {number} {json_kind(label)}; {example}")
        labels[int(number)] = label
    if sorted(labels) != list(range(len(id2label))):
        raise ModelError(f"{key} must number the labels from 0 without gaps; {example}")
    count = config.get("num_labels", len(labels))
    if count != len(labels):
        raise ModelError(
            f"{key} names {len(labels)} labels, num_labels says {json.dumps(count)}; remove "
            "num_labels, or correct the one that is wrong"
        )
    return _named_by_label2id(labels, config.get("label2id")) or labels


def _named_by_label2id(labels: Mapping[int, str], label2id: Any) -> dict[int, str] | None:
    """The labels turned round from `label2id`, None where they are not to be had from there.

    Whoever gives transformers `label2id` alone trains with those names, and the library writes its
    own `LABEL_0` and so on under `id2label`.
    """
    if any(label != f"LABEL_{number}" for number, label in labels.items()):
        return None
    if not isinstance(label2id, dict):
        return None
    turned = {number: label for label, number in label2id.items() if type(number) is int}
    if len(turned) != len(label2id) or sorted(turned) != sorted(labels):
        return None
    return turned


def read_tokenizer_config(name: str, folder: Path) -> Mapping[str, Any]:
    """The tokenizer's configuration, empty where there is none.

    Raises:
        ModelError: it cannot be read, or its `model_max_length` is no length.
    """
    if not (folder / TOKENIZER_CONFIG).exists():
        return {}
    config = read_json(name, folder / TOKENIZER_CONFIG)
    check_no_code(name, TOKENIZER_CONFIG, config)
    _check_tokenizer_config(name, config)
    longest = config.get("model_max_length")
    is_number = type(longest) in (int, float)
    if longest is not None and not (is_number and longest >= 1):
        shown = json.dumps(longest) if isinstance(longest, str) or is_number else json_kind(longest)
        raise ModelError(
            f"model {name}: model_max_length in its {TOKENIZER_CONFIG} is {shown}; it must be a "
            "number of tokens without quotes, such as 512"
        )
    return config


def _check_tokenizer_config(name: str, config: Mapping[str, Any]) -> None:
    """Refuse what the library would stumble over, in words about something else."""
    key = f"model {name}: %s in its {TOKENIZER_CONFIG} is %s; %s"
    kind = config.get("tokenizer_class")
    if kind is not None and not isinstance(kind, str):
        right = 'it must be a name, such as "BertTokenizerFast", or be left out'
        raise ModelError(key % ("tokenizer_class", json_kind(kind), right))
    for side in ("padding_side", "truncation_side"):
        if config.get(side, "right") not in ("left", "right"):
            shown = json.dumps(config[side])[:40]
            raise ModelError(key % (side, shown, 'it must be "right" or "left"'))
    added = config.get("added_tokens_decoder", {})
    right = 'it must give numbers their tokens, {"0": {"content": "[PAD]", ...}, ...}'
    if not isinstance(added, dict):
        raise ModelError(key % ("added_tokens_decoder", json_kind(added), right))
    for number, token in added.items():
        content = token.get("content") if isinstance(token, dict) else None
        if not number.isdecimal() or not isinstance(content, str):
            shown = f"wrong at {number[:20]!r}"
            raise ModelError(key % ("added_tokens_decoder", shown, right))


def _check_architecture(name: str, config: Mapping[str, Any]) -> None:
    named = config.get("architectures")
    names = [named] if isinstance(named, str) else named or []
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ModelError(
            f"model {name}: architectures in its {CONFIG} is {json_kind(named)}; it must be a list "
            'of one name, such as ["BertForTokenClassification"]'
        )
    # Without a name the head decides, see `consumer.tagging.model.weights`.
    if names and not any(one.endswith(HEAD) for one in names):
        raise ModelError(not_a_tagger(name, names[0]))


def not_a_tagger(name: str, architecture: str) -> str:
    """What is wrong with a model of another kind."""
    return (
        f"model {name}: its {CONFIG} names the architecture {architecture}, which has no head that "
        f"tags tokens, as one ...{HEAD} has; choose a model that was fine-tuned to tag tokens, or "
        "fine-tune this one with nerstream train"
    )


def _found(config: Mapping[str, Any], key: str) -> str:
    return f", not {json_kind(config[key])}" if key in config else ""
