"""BERT for token classification (Devlin et al. 2019) in plain torch.

transformers' modelling code imports compilers, exporters and distributed tensors, which is half of
a worker's start. A BERT needs none of it. Here are its modules, under the names that checkpoints
have for their weights; they give transformers' logits to the last bit. transformers loads
everything else, and a checkpoint that is out of the ordinary in any way: docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, scaled_dot_product_attention

from consumer.tagging.model.attention_functions import find_attention

#: The one file that is read; larger models come in several.
_WEIGHTS = "model.safetensors"

#: What a configuration must say, and what it says where it is silent.
_ORDINARY: tuple[tuple[str, object, object], ...] = (
    ("model_type", "bert", None),
    ("architectures", ["BertForTokenClassification"], None),
    ("hidden_act", "gelu", None),
    ("position_embedding_type", "absolute", "absolute"),
    ("is_decoder", False, False),
    ("add_cross_attention", False, False),
    ("quantization_config", None, None),
)


class BertOutput(NamedTuple):
    """`logits`: shape (rows, tokens, outputs)."""

    logits: torch.Tensor


class Bert(torch.nn.Module):
    """The network, for inference. Its attention is the function that its configuration names, see
    `consumer.tagging.model.attention_functions`, or else torch's own.

    Args:
        config: transformers' configuration of it, such as `load_bert` accepts.
    """

    #: The part without the head, by its name in checkpoints.
    base_model_prefix = "bert"

    #: See `consumer.tagging.model.attention_functions.use_attention`.
    finds_attention = True

    # Of any type, since other modules may be put here.
    bert: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.bert = torch.nn.Module()
        self.bert.embeddings = _Embeddings(config)
        self.bert.encoder = torch.nn.Module()
        self.bert.encoder.layer = torch.nn.ModuleList(
            _Layer(config) for _ in range(config.num_hidden_layers)
        )
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)

    @property
    def base_model(self) -> torch.nn.Module:
        """The part without the head."""
        base: torch.nn.Module = self.bert
        return base

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the weights."""
        return next(self.parameters()).dtype

    def get_input_embeddings(self) -> torch.nn.Module:
        """The table of words."""
        embeddings: torch.nn.Module = self.bert.embeddings.word_embeddings
        return embeddings

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        **for_attention: Any,
    ) -> BertOutput:
        """Logits of token ids.

        Args:
            input_ids: shape (rows, tokens).
            attention_mask: 1 where a token is text, 0 where it fills a row up; the same shape.
            position_ids: shape (rows or 1, tokens); None counts from 0.
            for_attention: handed to the attention function of each layer.
        """
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        mask = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        hidden = self.bert.embeddings(input_ids=input_ids, position_ids=position_ids)
        for layer in self.bert.encoder.layer:
            hidden = layer(hidden, mask, **for_attention)
        return BertOutput(self.classifier(hidden))


class _Embeddings(torch.nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = _table(config.vocab_size, size)
        self.position_embeddings = _table(config.max_position_embeddings, size)
        self.token_type_embeddings = _table(config.type_vocab_size, size)
        self.LayerNorm = torch.nn.LayerNorm(size, eps=config.layer_norm_eps)

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
        # A text is one segment, the first. The order of the sums is a matter of the last bit.
        words = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        found: torch.Tensor = self.LayerNorm(words + self.position_embeddings(position_ids))
        return found


def _table(rows: int, columns: int) -> torch.nn.Embedding:
    # Given a weight torch draws none; to draw one it would import its compiler.
    return torch.nn.Embedding(rows, columns, _weight=torch.empty(rows, columns))


class _Layer(torch.nn.Module):
    attention: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.attention = torch.nn.Module()
        self.attention.self = _Attention(config)
        self.attention.output = _Output(config.hidden_size, config)
        self.intermediate = _Intermediate(config)
        self.output = _Output(config.intermediate_size, config)

    def forward(
        self, hidden: torch.Tensor, mask: torch.Tensor | None = None, **for_attention: Any
    ) -> torch.Tensor:
        attended = self.attention.self(hidden, mask, **for_attention)
        hidden = self.attention.output(attended, hidden)
        found: torch.Tensor = self.output(self.intermediate(hidden), hidden)
        return found


class _Attention(torch.nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.num_attention_heads = config.num_attention_heads
        self.scaling = (config.hidden_size // config.num_attention_heads) ** -0.5
        self.query = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.key = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.value = torch.nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden: torch.Tensor, mask: torch.Tensor | None, **for_attention: Any
    ) -> torch.Tensor:
        rows, tokens, size = hidden.shape
        query, key, value = (
            product(hidden).view(rows, tokens, self.num_attention_heads, -1).transpose(1, 2)
            for product in (self.query, self.key, self.value)
        )
        attend = find_attention(self.config._attn_implementation) or _attend
        attended, _ = attend(
            self, query, key, value, mask, scaling=self.scaling, dropout=0.0, **for_attention
        )
        return attended.reshape(rows, tokens, size)


class _Output(torch.nn.Module):
    """A linear layer, the residual and their normalisation."""

    def __init__(self, inputs: int, config: Any) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(inputs, config.hidden_size)
        self.LayerNorm = torch.nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.LayerNorm(self.dense(inputs) + residual)
        return found


class _Intermediate(torch.nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(config.hidden_size, config.intermediate_size)
        #: By this name `consumer.tagging.engine.encoder_layers` finds it.
        self.intermediate_act_fn = gelu

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.intermediate_act_fn(self.dense(hidden))


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    dropout: float,
) -> tuple[torch.Tensor, None]:
    """Each row to itself."""
    attended = scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return attended.transpose(1, 2), None


def load_bert(
    folder: Path, config: Any, dtype: torch.dtype, renamed: Callable[[str], str] = str
) -> Bert | None:
    """The network of a folder, if it is an ordinary BERT whose weights are all there by the names
    of today; else None.

    Args:
        folder: holds the weights, as safetensors.
        config: transformers' configuration of it.
        dtype: precision of the weights.
        renamed: gives for a name in the file the name of today.
    """
    if not is_ordinary(config) or not (folder / _WEIGHTS).is_file():
        return None
    with torch.device("meta"):
        network = Bert(config)
    expected = network.state_dict()
    found = {renamed(name): weight for name, weight in load_file(folder / _WEIGHTS).items()}
    # Copied, since a tensor as it was read lies in the file, which may change under a worker.
    weights = {name: found[name].to(dtype, copy=True) for name in expected if name in found}
    if {name: weight.shape for name, weight in weights.items()} != {
        name: weight.shape for name, weight in expected.items()
    }:
        return None
    network.load_state_dict(weights, assign=True)
    return network


def is_ordinary(config: Any) -> bool:
    """Whether a configuration describes what `Bert` computes, and nothing beside it."""
    if any(getattr(config, name, silent) != said for name, said, silent in _ORDINARY):
        return False
    return int(config.hidden_size) % int(config.num_attention_heads) == 0
