"""A model's weights as their files' headers describe them, checked before they are read."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from consumer.contracts.errors import ModelError
from consumer.tagging.model.files import read_json
from consumer.tagging.model.guard.header import read_header

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

#: What wrappers put in front of names: `torch.compile`, data parallelism, and a module of one's own
#: around the model. The first may stand anywhere in a name, the others only in front of all names.
_COMPILED = "_orig_mod."
_AROUND_ALL = ("module.", "model.")

#: The last linear layer of a token classifier; its rows are the outputs.
_HEADS = ("classifier.weight", "score.weight")

#: Beginnings of names in other heads, whose weights transformers would leave out.
_OTHER_HEADS = (
    *("pre_classifier.", "pooler.", "qa_outputs."),
    *("logits_proj.", "sequence_summary.", "crf."),
)

#: Parts under any name that compute something between encoder and labels, or, in the last, in the
#: encoder: relative positions, which transformers has no more.
_OTHER_PARTS = re.compile(
    r"(^|\.)((?:bi_?|\w+_)?(?:lstm|gru|rnn)\d*|\w*crf\w*|(?:start_|end_)?transitions|transition_matrix"
    r"|(?:start|end)_(?:fc|logits|layer)|\w*biaffine\w*|span_\w+|distance_embedding)(\.|$)",
    re.IGNORECASE,
)

#: Parts of an adapter that was not merged into the weights; transformers leaves them out.
_ADAPTER = re.compile(r"\.(lora_[A-Za-z]+|base_layer|modules_to_save|ia3_l)(\.|$)")

#: The name of a weight of a layer of the encoder.
_LAYER = re.compile(r"(?:[^.]+\.)?(?:encoder|transformer|model)\.layers?\.(\d+)\.")

#: What a model keeps of the heads that it had before, of a training, or of what its library counts
#: by itself today. No tagger computes with it.
_LEFTOVERS = re.compile(
    r"(^|\.)pooler\."
    r"|^(cls|lm_head|lm_loss|lm_predictions|mask_predictions|predictions|sop_classifier|qa_outputs"
    r"|(generator|discriminator|entity)_predictions|generator_lm_head|multiple_choice_head"
    r"|vocab_(transform|layer_norm|projector)|embed_out|pred_layer|output_projection|contact_head"
    r"|nsp_head|mlm_head)\."
    r"|^decoder\.(weight|bias)$"
    r"|(^|\.)(position_ids|token_type_ids|inv_freq|num_batches_tracked)$"
    r"|\.\d+\.(attn\.)?att\w*\.(masked_)?bias$"
    r"|(^|\.)(loss\w*|criterion|class_weights?)(\.|$)"
)

#: Names that a line of the log repeats.
_SHOWN_NAMES = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """What a model's weights are called and how large they are.

    Attributes:
        files: that hold them.
        shapes: by the names that transformers has for them.
        wrappers: what stands in front of all names in the files.
        is_wrapped: whether the names in the files are others than those of transformers.
    """

    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]]
    wrappers: str
    is_wrapped: bool

    def renamed(self, key: str) -> str:
        """A name in the files as transformers has it."""
        return key.replace(_COMPILED, "").removeprefix(self.wrappers)

    def read(self) -> dict[str, torch.Tensor]:
        """All weights, by the names that transformers has for them."""
        found: dict[str, torch.Tensor] = {}
        for path in self.files:
            found |= {self.renamed(key): weight for key, weight in load_file(path).items()}
        return found


def read_weights(name: str, folder: Path) -> ModelWeights:
    """The headers of all files of a model's weights.

    Args:
        name: the model, for errors.
        folder: where it lies.

    Raises:
        ModelError: a file is missing, cut off, or not what its name says.
    """
    files = tuple(_files(name, folder))
    found: dict[str, tuple[int, ...]] = {}
    for path in files:
        found.update(read_header(name, path))
    shapes = {key.replace(_COMPILED, ""): shape for key, shape in found.items()}
    wrappers = ""
    for wrapper in _AROUND_ALL:
        if all(key.startswith(wrapper) for key in shapes):
            shapes = {key.removeprefix(wrapper): shape for key, shape in shapes.items()}
            wrappers += wrapper
    around = _around_head(shapes)
    shapes = {key.removeprefix(around): shape for key, shape in shapes.items()}
    wrappers += around
    return ModelWeights(files, shapes, wrappers, is_wrapped=shapes.keys() != found.keys())


def _around_head(shapes: Collection[str]) -> str:
    """What stands in front of all names, the head's too, which has nothing there in transformers:
    a module of one's own around the model, whatever it is called."""
    for head in _HEADS:
        for key in shapes:
            around = key.removesuffix(head)
            if around != key and all(other.startswith(around) for other in shapes):
                return around
    return ""


def check_kind(name: str, weights: ModelWeights) -> None:
    """Refuse weights whose head is that of another kind of model, whatever it is called.

    Raises:
        ModelError: see above.
    """
    adapter = next((key for key in weights.shapes if _ADAPTER.search(key)), None)
    if adapter is not None:
        raise ModelError(
            f"model {name}: its weights hold an adapter that was not merged into them ({adapter}); "
            "merge it once, with model.merge_and_unload().save_pretrained(FOLDER)"
        )
    others = [
        key for key in weights.shapes if key.startswith(_OTHER_HEADS) or _OTHER_PARTS.search(key)
    ]
    if _HEADS[0] in weights.shapes:
        # One of several layers, of which transformers would take the last alone.
        known = (_HEADS[0], "classifier.bias")
        others += [k for k in weights.shapes if k.startswith("classifier.") and k not in known]
    other = next(iter(others), None)
    if other is not None:
        raise ModelError(
            f"model {name}: its weights have a part that no token classifier of transformers has "
            f"({other}), so they are of another kind of model; choose one that was fine-tuned to "
            "tag tokens, or fine-tune this one with nerstream train"
        )


def check_layers(name: str, weights: ModelWeights, config: Any) -> None:
    """Refuse weights of more layers than the configuration has, which would be left out.

    Args:
        config: transformers' configuration.

    Raises:
        ModelError: see above.
    """
    found = [int(match[1]) + 1 for match in map(_LAYER.match, weights.shapes) if match]
    layers = getattr(config, "num_hidden_layers", None)
    if found and type(layers) is int and max(found) > layers:
        raise ModelError(_more_layers(name, config, layers, max(found)))


def check_unused(name: str, config: Any, unused: Collection[str], used: Collection[str]) -> None:
    """Refuse further layers of the encoder, by whatever name they go. Say which other weights are
    not used, but for what models have left over from before.

    Args:
        config: transformers' configuration.
        unused: names of weights that the network has no place for.
        used: those that it has.

    Raises:
        ModelError: see above.
    """
    layers = getattr(config, "num_hidden_layers", None)
    if type(layers) is int:
        found = max((_layer_beyond(key, used, layers) for key in unused), default=0)
        if found:
            raise ModelError(_more_layers(name, config, layers, found))
    others = sorted(key for key in unused if not _LEFTOVERS.search(key))
    if others:
        more = len(others) - _SHOWN_NAMES
        _log.warning(
            "model %s: its weights have parts that no token classifier of its family has, and that "
            "are not used: %s%s; if it was trained to tag by them, its entities are others",
            name,
            ", ".join(others[:_SHOWN_NAMES]),
            f" and {more} more" if more > 0 else "",
        )


def _layer_beyond(key: str, used: Collection[str], layers: int) -> int:
    """How many layers there are at least, if a weight is of one behind the last; else 0."""
    parts = key.split(".")
    place = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
    if place is None or int(parts[place]) < layers:
        return 0
    of_last = ".".join([*parts[:place], str(layers - 1), *parts[place + 1 :]])
    return int(parts[place]) + 1 if of_last in used else 0


def _more_layers(name: str, config: Any, layers: int, found: int) -> str:
    key = getattr(config, "attribute_map", {}).get("num_hidden_layers", "num_hidden_layers")
    return (
        f"model {name}: its config.json is of another model than its weights: it says "
        f"{layers} layers ({key}), and they are {found}; put the config.json that belongs to the "
        "weights beside them"
    )


def check_outputs(name: str, weights: ModelWeights, labels: int) -> None:
    """Refuse a head that has another number of outputs than there are labels.

    Raises:
        ModelError: see above.
    """
    for head in _HEADS:
        shape = weights.shapes.get(head, ())
        if len(shape) == 2 and shape[0] != labels:
            raise ModelError(
                f"model {name}: id2label in its config.json names {labels} labels, its head has "
                f"{shape[0]} outputs; name every output, from 0 to {shape[0] - 1}"
            )


def _files(name: str, folder: Path) -> list[Path]:
    """The files that transformers reads: the one, or those of the index."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / INDEX).exists():
        index = read_json(name, folder / INDEX)
        files = index.get("weight_map")
        if not isinstance(files, dict) or not files:
            raise ModelError(
                f"model {name}: weight_map in its {INDEX} must name the file of each weight; copy "
                "or download it again"
            )
        odd = next((one for one in files.values() if not _is_file_name(one)), None)
        if odd is not None or None in files.values():
            raise ModelError(
                f"model {name}: weight_map in its {INDEX} has {json.dumps(odd)} in place of the "
                "name of a file beside it; copy or download it again"
            )
        paths = [folder / file for file in sorted(set(files.values()))]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise ModelError(
                f"model {name}: {missing[0]} is missing, of the {len(paths)} files of weights that "
                f"its {INDEX} names; copy or download it"
            )
        if not isinstance(index.get("metadata"), dict):
            raise ModelError(
                f"model {name}: its {INDEX} has no metadata, which transformers wants; add "
                '"metadata": {} to it'
            )
        return paths
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    raise ModelError(
        f"model {name}: its weights must be in {WEIGHTS}, or in the files that {INDEX} names, and "
        f"it has {', '.join(found)}; rename the file, or save the model again with save_pretrained"
    )


def _is_file_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and value == Path(value).name
