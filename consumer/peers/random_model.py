"""A model of BERT-base's geometry with random weights: the same arithmetic, without the hub."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

from consumer.tagging.model_folder import find_model_folder

#: As those of dslim/bert-base-NER.
_LABELS = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


def save_random_model(folder: Path, **geometry: int) -> None:
    """Write such a model with the bundled tokenizer, 440 MB; the same at every call.

    Args:
        geometry: fields of `BertConfig` that are not BERT-base's (Devlin et al. 2019).
    """
    bundled = find_model_folder("bundled", "").path
    tokenizer = AutoTokenizer.from_pretrained(bundled, local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer),
        id2label=dict(enumerate(_LABELS)),
        label2id={label: index for index, label in enumerate(_LABELS)},
        **geometry,
    )
    # The bundled model reads shorter windows than BERT.
    tokenizer.model_max_length = config.max_position_embeddings
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
