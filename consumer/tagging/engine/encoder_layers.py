"""The weights of an encoder's layers, read from the modules that transformers makes of them.

The layer read is that of the original transformer encoder (Vaswani et al. 2017), with the
normalisation behind each residual. BERT, RoBERTa, XLM-R, ELECTRA, CamemBERT and their kin have it,
and DistilBERT. A layer of another structure lacks one of the names. Whether one that has them all
also computes what they promise is tried, see `consumer.tagging.engine.cpu.layers.packed_layer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, eq=False)
class LayerWeights:
    """One layer: attention and feed-forward part, each with a residual and a normalisation.

    Attributes:
        query, key, value, out: the linear layers of the attention.
        up, down: those of the feed-forward part; between them stands `activation`.
        attention_norm, output_norm: behind the residuals.
        heads: attention heads.
        scaling: factor of the attention's scores.
    """

    query: torch.nn.Linear
    key: torch.nn.Linear
    value: torch.nn.Linear
    out: torch.nn.Linear
    up: torch.nn.Linear
    down: torch.nn.Linear
    activation: Any
    attention_norm: torch.nn.LayerNorm
    output_norm: torch.nn.LayerNorm
    heads: int
    scaling: float

    @property
    def head_size(self) -> int:
        """Width of a query, a key and a value of one head."""
        return self.query.out_features // self.heads


def find_layers(network: Any) -> torch.nn.ModuleList | None:
    """The list that holds the encoder's layers, if there is one, not empty, and each can be
    read."""
    base = getattr(network, network.base_model_prefix, None)
    for name in ("encoder", "transformer"):
        layers = getattr(getattr(base, name, None), "layer", None)
        if not isinstance(layers, torch.nn.ModuleList) or len(layers) == 0:
            continue
        if all(read_layer(one) for one in layers):
            return layers
    return None


def read_layer(layer: Any) -> LayerWeights | None:
    """The weights of a layer, or None where it has another structure."""
    try:
        weights = _bert(layer) if hasattr(layer, "intermediate") else _distilbert(layer)
    except AttributeError:
        return None
    linears = (weights.query, weights.key, weights.value, weights.out, weights.up, weights.down)
    norms = (weights.attention_norm, weights.output_norm)
    if (
        all(type(linear) is torch.nn.Linear for linear in linears)
        and all(type(norm) is torch.nn.LayerNorm for norm in norms)
        and _is_gelu(weights.activation)
    ):
        return weights
    return None


def _bert(layer: Any) -> LayerWeights:
    attention = layer.attention.self
    return LayerWeights(
        query=attention.query,
        key=attention.key,
        value=attention.value,
        out=layer.attention.output.dense,
        up=layer.intermediate.dense,
        down=layer.output.dense,
        activation=layer.intermediate.intermediate_act_fn,
        attention_norm=layer.attention.output.LayerNorm,
        output_norm=layer.output.LayerNorm,
        heads=attention.num_attention_heads,
        scaling=attention.scaling,
    )


def _distilbert(layer: Any) -> LayerWeights:
    attention = layer.attention
    return LayerWeights(
        query=attention.q_lin,
        key=attention.k_lin,
        value=attention.v_lin,
        out=attention.out_lin,
        up=layer.ffn.lin1,
        down=layer.ffn.lin2,
        activation=layer.ffn.activation,
        attention_norm=layer.sa_layer_norm,
        output_norm=layer.output_layer_norm,
        heads=attention.n_heads,
        scaling=attention.scaling,
    )


def _is_gelu(activation: Any) -> bool:
    """Whether it is the exact GELU, not one of its approximations."""
    values = torch.linspace(-6.0, 6.0, 241)
    try:
        found = activation(values)
    except Exception:  # whatever takes the place of an activation
        return False
    return torch.allclose(found, torch.nn.functional.gelu(values), rtol=0.0, atol=1e-6)
