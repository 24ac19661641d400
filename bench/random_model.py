"""A model folder with BERT-base's geometry and random weights: same arithmetic, no hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertForTokenClassification

BUNDLED = Path(__file__).resolve().parents[1] / "consumer" / "models" / "minilm-l6-ner"


def write_bert_base(folder: Path) -> Path:
    """Write it, with the bundled model's tokenizer and labels; gives the folder."""
    torch.manual_seed(0)
    bundled = BertConfig.from_pretrained(BUNDLED)
    config = BertConfig(
        vocab_size=bundled.vocab_size,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3_072,
        id2label=bundled.id2label,
        label2id=bundled.label2id,
    )
    BertForTokenClassification(config).save_pretrained(folder, safe_serialization=True)
    for file in BUNDLED.glob("*token*"):
        shutil.copy(file, folder)
    for file in BUNDLED.glob("vocab*"):
        shutil.copy(file, folder)
    return folder
