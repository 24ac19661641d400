"""A model of BERT-base's geometry with random weights: the same arithmetic, without the hub."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

from consumer.tagging.model.folder import find_model_folder

#: As those of dslim/bert-base-NER.
_LABELS = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")

#: Makes a sixth of the tokens parts of entities, as in news (CoNLL-2003: 17 %). Without it nearly
#: every token is one, and building entities would cost what it never does.
_O_BIAS = 0.94


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
    model = BertForTokenClassification(config)
    torch.nn.init.constant_(model.classifier.bias[:1], _O_BIAS)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
