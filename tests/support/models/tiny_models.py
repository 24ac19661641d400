"""Tiny token classifiers with random weights, made in a second: one of each tokenizer family.

Their vocabularies come from a few sentences of our own, so that they split most words.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DebertaV2Config,
    DebertaV2ForTokenClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForTokenClassification,
    XLMRobertaConfig,
    XLMRobertaForTokenClassification,
)

from consumer.contracts.messages import (
    Article,
    Entity,
    Position,
    PreparedArticle,
    RawMessage,
    TaggingResult,
    TextField,
    TopicPartition,
)
from consumer.tagging.tagger import Tagger, load_tagger
from consumer.training.case_marks import marking_tokenizer

SENTENCES = (
    "Marta Lindqvist of Nordbank met Jean-Pierre Okafor in Lisbon on Tuesday.",
    "The harbour of Kotor reopened after U.S. engineers repaired its breakwater.",
    "Zürich and Genève signed with the Océan Trust; São Paulo didn't.",
    "ORBITAL MOTORS SHARES FALL 3.5 PERCENT IN TOKYO",
    "В Москве прошла встреча с Анной Петровой, сообщила газета.",
    "东京和北京的代表在日内瓦会面。",
    "قالت ليلى حداد في بيروت إن المصنع سيفتح قريبا.",
    "हिन्दी के लेखक दिल्ली में मिले।",
    "Fans 🎉 cheered as O'Brien scored twice against FC Vesna 😀.",
)

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")

_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def _names(labels: tuple[str, ...]) -> dict[str, Mapping[object, object]]:
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def _wrap(tokenizer: Tokenizer, max_length: int, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length, **special
    )


def _pieces(pre_tokenizer: pre_tokenizers.PreTokenizer) -> list[str]:
    """Every character of the sentences, and a part of each word; always in the same order.

    A trained vocabulary would depend on the order of a hash table.
    """
    lowered = normalizers.BertNormalizer(lowercase=True)
    texts = [*SENTENCES, *(lowered.normalize_str(sentence) for sentence in SENTENCES)]
    words = {word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(text)}
    pieces = {character for word in words for character in word}
    parts = {word[:3] for word in words} | {word[3:6] for word in words}
    # A part with punctuation in it would be a token that no word can be cut out of.
    return sorted(pieces | {part for part in parts if part.lstrip("▁").isalnum()})


def wordpiece_tokenizer(max_length: int, lowercase: bool) -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if lowercase:
        # As in BERT's own vocabularies.
        special += ["[unused0]", "[unused1]", "[unused2]"]
    pieces = _pieces(pre_tokenizers.BertPreTokenizer())
    if lowercase:
        pieces = list(dict.fromkeys(piece.lower() for piece in pieces))
    names = [*special, *pieces, *(f"##{piece}" for piece in pieces)]
    vocabulary = {name: token_id for token_id, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = decoders.WordPiece()
    return _wrap(
        tokenizer,
        max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def byte_level_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    tokenizer.decoder = decoders.ByteLevel()
    return _wrap(
        tokenizer,
        max_length,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


def sentencepiece_tokenizer(max_length: int, strips: bool) -> PreTrainedTokenizerFast:
    """Unigram behind Metaspace: as XLM-R has it, or DeBERTa-v3, which strips the text."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = _pieces(pre_tokenizers.Metaspace(prepend_scheme="always"))
    scores = [(name, 0.0) for name in special]
    scores += [(piece, 2.0 * len(piece) - 8.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    steps = [normalizers.NFKC(), normalizers.Replace(" {2,}", " ")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), *steps] if strips else steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.decoder = decoders.Metaspace()
    return _wrap(
        tokenizer,
        max_length,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


def _bert(tokens: int, length: int, labels: tuple[str, ...]) -> PreTrainedModel:
    config = BertConfig(
        vocab_size=tokens,
        intermediate_size=64,
        max_position_embeddings=length,
        pad_token_id=0,
        **_SIZE,
        **_names(labels),
    )
    return BertForTokenClassification(config)


def _distilbert(tokens: int, length: int, labels: tuple[str, ...]) -> PreTrainedModel:
    config = DistilBertConfig(
        vocab_size=tokens,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=length,
        **_names(labels),
    )
    return DistilBertForTokenClassification(config)


def _roberta(tokens: int, length: int, labels: tuple[str, ...]) -> PreTrainedModel:
    config = RobertaConfig(
        vocab_size=tokens,
        intermediate_size=64,
        max_position_embeddings=length + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **_SIZE,
        **_names(labels),
    )
    return RobertaForTokenClassification(config)


def _xlm_roberta(tokens: int, length: int, labels: tuple[str, ...]) -> PreTrainedModel:
    config = XLMRobertaConfig(
        vocab_size=tokens,
        intermediate_size=64,
        max_position_embeddings=length + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **_SIZE,
        **_names(labels),
    )
    return XLMRobertaForTokenClassification(config)


def _deberta(tokens: int, length: int, labels: tuple[str, ...]) -> PreTrainedModel:
    config = DebertaV2Config(
        vocab_size=tokens,
        intermediate_size=64,
        max_position_embeddings=length,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        type_vocab_size=0,
        pad_token_id=1,
        **_SIZE,
        **_names(labels),
    )
    return DebertaV2ForTokenClassification(config)


_Builder = Callable[[int, int, tuple[str, ...]], PreTrainedModel]

#: Family -> (tokenizer of a maximum length, model).
FAMILIES: Mapping[str, tuple[Callable[[int], PreTrainedTokenizerFast], _Builder]] = {
    "bert-cased": (lambda length: wordpiece_tokenizer(length, lowercase=False), _bert),
    "bert-uncased": (lambda length: wordpiece_tokenizer(length, lowercase=True), _bert),
    "bert-case-marks": (
        lambda length: marking_tokenizer(wordpiece_tokenizer(length, lowercase=True)),
        _bert,
    ),
    "distilbert": (lambda length: wordpiece_tokenizer(length, lowercase=False), _distilbert),
    "roberta": (byte_level_tokenizer, _roberta),
    "xlm-roberta": (lambda length: sentencepiece_tokenizer(length, strips=False), _xlm_roberta),
    "deberta-v3": (lambda length: sentencepiece_tokenizer(length, strips=True), _deberta),
}

#: The families whose attention can be packed.
PACKED_FAMILIES = (
    *("bert-cased", "bert-uncased", "bert-case-marks"),
    *("distilbert", "roberta", "xlm-roberta"),
)


def save_tiny_model(
    folder: Path,
    family: str = "bert-cased",
    *,
    max_length: int = 64,
    labels: tuple[str, ...] = LABELS,
    seed: int = 7,
) -> Path:
    """Make a model of a family and save it as a person would; gives the folder.

    Its weights are large enough for its answers to differ from word to word, and the same
    arguments give the same model.
    """
    make_tokenizer, build = FAMILIES[family]
    tokenizer = make_tokenizer(max_length)
    torch.manual_seed(seed)
    model = build(len(tokenizer), max_length, labels)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                spread = 1.0 if "word_embeddings" in name else 0.1
                # Probabilities of nearly 1 would make ties that rounding decides.
                parameter.normal_(0.0, 0.3 if "classifier" in name else spread)
    transformers.logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_folder(family: str = "bert-cased", max_length: int = 64) -> Path:
    """A saved tiny model, one for the whole run; must not be changed."""
    return _made(family, max_length)


@cache
def _made(family: str, max_length: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"tiny-{family}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return save_tiny_model(folder, family, max_length=max_length)


def tiny_tagger(family: str = "bert-cased", max_length: int = 64, **changes: Any) -> Tagger:
    """A tagger of a tiny model on the CPU."""
    arguments: dict[str, Any] = {
        "model": str(tiny_folder(family, max_length)),
        "revision": "",
        "device": "cpu",
        "dtype": "float32",
        # More would wait for each other in models as small as these.
        "threads": 1,
        "aggregation": "word",
        "window_overlap_tokens": 16,
        "batch_tokens": 512,
    }
    return load_tagger(**{**arguments, **changes})


def article(number: int, *texts: str) -> Article:
    """An article with the fields `title` and `body`, or `body` alone."""
    raw = RawMessage(Position(TopicPartition("articles", 0), number), None, b"{}", (), None, 0)
    names = ("body",) if len(texts) == 1 else ("title", "body")
    fields = tuple(TextField(*field) for field in zip(names, texts, strict=True))
    return Article(raw, str(number), fields)


def tag(tagger: Tagger, articles: Sequence[Article]) -> TaggingResult:
    """Encode and tag articles together."""
    encodings = tagger.encode(articles)
    prepared = [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]
    return tagger.tag(prepared, lambda: None)


def entities_of(tagger: Tagger, text: str) -> tuple[Entity, ...]:
    """The entities of one text."""
    (answer,) = tag(tagger, [article(0, text)]).answers
    assert isinstance(answer, tuple), answer
    return answer
