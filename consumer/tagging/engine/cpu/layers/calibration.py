"""Finding the eight-bit scales of a model's layers on the sample articles.

The samples travel with the package, so the scales of a model are the same on every machine and at
every start. Layers are quantized one by one: what comes into a layer is what the float32
layers before it give.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from consumer.resources import sample_lines
from consumer.tagging.engine.cpu.layers.quantized_layer import QuantizedLayer, quantize_layer
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.engine.packed_attention import PACKED, CannotPack, packed_logits
from consumer.tagging.model.attention_functions import use_attention
from consumer.tagging.model.loaded_model import LoadedModel

#: Tokens of the samples that are used. More changed no scale by much on the models we tried, and
#: each costs a pass in float32 at the start.
CALIBRATION_TOKENS = 2_048

_log = logging.getLogger(__name__)


class _Calibrating(torch.nn.Module):
    """Takes the place of a float32 layer for one pass, and makes its quantized form."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self._layer = layer
        self.quantized: QuantizedLayer | None = None

    def forward(
        self, hidden: torch.Tensor, *_: Any, window_lengths: Sequence[int], **__: Any
    ) -> torch.Tensor:
        weights = read_layer(self._layer)
        if weights is None:
            raise CannotPack
        self.quantized, output = quantize_layer(weights, hidden[0], window_lengths)
        return output[None]


@torch.inference_mode()
def quantize_layers(model: LoadedModel) -> None:
    """Put quantized layers in the place of a model's own. Blocks for a pass in float32.

    Args:
        model: packed and float32, its layers such as `can_fuse` accepts.
    """
    network = model.network
    layers = find_layers(network)
    assert layers is not None
    windows = list(_windows(model))
    use_attention(network, PACKED)
    for index, layer in enumerate(layers):
        layers[index] = _Calibrating(layer)
    packed_logits(
        network,
        torch.from_numpy(np.concatenate(windows)).long(),
        [len(window) for window in windows],
        model.first_position,
    )
    int8_linears = 0
    for index, layer in enumerate(layers):
        assert isinstance(layer, _Calibrating)
        assert layer.quantized is not None
        layers[index] = layer.quantized
        int8_linears += layer.quantized.int8_linears
    _log.info(
        "model %s: %d of %d matmuls in eight bits, by %d tokens of the samples",
        model.info.name,
        int8_linears,
        4 * len(layers),
        sum(map(len, windows)),
    )


def _windows(model: LoadedModel) -> Iterator[NDArray[np.int32]]:
    room = model.max_tokens - model.special_tokens
    tokens = 0
    for text in _texts():
        ids = model.tokenizer.encode(text, add_special_tokens=False).ids[:room]
        window = np.array([*model.prefix_ids, *ids, *model.suffix_ids], dtype=np.int32)
        yield window
        tokens += len(window)
        if tokens >= CALIBRATION_TOKENS:
            return


def _texts() -> Iterator[str]:
    """Title and body of the samples; those that are no articles are passed over."""
    for line in sample_lines():
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(document, dict):
            parts = [document.get("title"), document.get("body")]
            text = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
            if text:
                yield text
