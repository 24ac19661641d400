"""Tiny, random models of families that cannot be packed, and of a few others, of transformers' own
classes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers

from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from tests.support.models.tiny_models import LABELS, wordpiece_tokenizer

_SIZE: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}

#: Family -> what its configuration has beside the vocabulary and the labels.
CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "BigBird": {**_SIZE, "block_size": 4, "num_random_blocks": 1},
    "ConvBert": {**_SIZE, "embedding_size": 32, "head_ratio": 2, "conv_kernel_size": 5},
    "FNet": {**_SIZE},
    "Funnel": {"block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64},
    "IBert": {**_SIZE},
    "Longformer": {**_SIZE, "attention_window": [8, 8]},
    "MobileBert": {
        **_SIZE,
        "embedding_size": 32,
        "true_hidden_size": 32,
        "intra_bottleneck_size": 32,
    },
    "Nystromformer": {**_SIZE, "num_landmarks": 64, "segment_means_seq_len": 64},
    "SqueezeBert": {**_SIZE, "embedding_size": 32},
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
}

#: The same of other families, each for what is odd in it.
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "NomicBert": {**_SIZE},
    "Phi3": {**_SIZE, "num_key_value_heads": 2},
    "XLM": {"emb_dim": 32, "n_layers": 2, "n_heads": 4},
    "Xmod": {**_SIZE, "languages": ["en_XX"], "default_language": "en_XX"},
}


@cache
def folder_of(family: str, **changes: Any) -> Path:
    parent = Path(tempfile.mkdtemp(prefix=f"tiny-{family}-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    tokenizer = wordpiece_tokenizer(128, lowercase=False)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer),
        pad_token_id=0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        **{**{**CONFIGURATIONS, **OTHERS}[family], **changes},
    )
    torch.manual_seed(7)
    model = getattr(transformers, f"{family}ForTokenClassification")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                # Embeddings of one size, so that each token matters.
                parameter.normal_(0.0, 1.0 if "embeddings" in name else 0.2)
    transformers.logging.disable_progress_bar()
    model.save_pretrained(parent / family)
    tokenizer.save_pretrained(parent / family)
    return parent / family


def loaded(family: str, dtype: str = "float32", **changes: Any) -> LoadedModel:
    return load_model(str(folder_of(family, **changes)), "", "cpu", dtype, 1)
