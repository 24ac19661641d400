"""A model of BERT-base's geometry with random weights: the same arithmetic, without the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import BertConfig, BertForTokenClassification

from consumer.tagging.model_folder import find_model_folder

#: As those of dslim/bert-base-NER.
_LABELS = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


def save_random_model(folder: Path) -> None:
    """Write such a model with the bundled tokenizer, 440 MB; the same at every call."""
    bundled = find_model_folder("bundled", "").path
    tokenizer = Tokenizer.from_file(str(bundled / "tokenizer.json"))
    # Everything else is BERT-base's by default (Devlin et al. 2019).
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        id2label=dict(enumerate(_LABELS)),
        label2id={label: index for index, label in enumerate(_LABELS)},
    )
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    BertForTokenClassification(config).save_pretrained(folder)
    for path in bundled.glob("tokenizer*.json"):
        shutil.copy(path, folder)
