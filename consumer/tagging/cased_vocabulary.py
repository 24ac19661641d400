"""Giving an uncased WordPiece checkpoint its case back, without a layer more.

An uncased model reads *Apple* and *apple* alike. Here the pieces of a cased text get rows of
their own in the embedding: a cased piece begins as its uncased twin plus a direction that all
capitalised pieces share (and another for pieces all in capitals), so that what fine-tuning
learns of the direction holds for pieces that it never saw. Room is made by pieces that English
news hardly needs. The result is a plain checkpoint with a plain cased tokenizer.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from consumer.tagging.conll import LabelledArticle

CONTINUES = "##"

#: Length of the shared directions, in mean lengths of an embedding row: enough to be noticed
#: beside the piece itself, too little to hide which piece it is.
DIRECTION_LENGTH = 0.5

#: A piece of up to so many letters gets its capitalised and its all-capitals twin in any case:
#: words that the training text does not have are cut into these.
SHORT_PIECE = 2


@dataclass(frozen=True, slots=True)
class CasedVocabulary:
    """Pieces in the order of their new ids, and where each row of the embedding comes from.

    Attributes:
        pieces: the new vocabulary.
        sources: for each piece the row of the old embedding that it begins with.
        cases: for each piece 0 (as it was), 1 (capitalised) or 2 (all in capitals).
    """

    pieces: tuple[str, ...]
    sources: tuple[int, ...]
    cases: tuple[int, ...]


def with_case(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    articles: Iterable[LabelledArticle],
    size: int,
    seed: int,
) -> PreTrainedTokenizerFast:
    """Change the model's embedding in place; gives the cased tokenizer that goes with it.

    Args:
        model: reads uncased WordPiece.
        tokenizer: its tokenizer.
        articles: whose cased pieces are wanted first.
        size: pieces of the new vocabulary.
        seed: of the two shared directions.

    Raises:
        ValueError: the tokenizer is no uncased WordPiece.
    """
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer = document.get("normalizer") or {}
    if document["model"]["type"] != "WordPiece" or not normalizer.get("lowercase"):
        raise ValueError("only an uncased WordPiece vocabulary can be given its case")
    vocabulary = cased_vocabulary(document["model"]["vocab"], tokenizer, articles, size)
    _change_embedding(model, vocabulary, seed)
    ids = {piece: index for index, piece in enumerate(vocabulary.pieces)}
    normalizer["lowercase"] = False
    # An uncased BERT strips accents because it is uncased; a cased one must be told.
    normalizer["strip_accents"] = True
    document["model"]["vocab"] = ids
    for token in document["added_tokens"]:
        token["id"] = ids[token["content"]]
    for token in document["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [ids[name] for name in token["tokens"]]
    for end in ("cls", "sep"):
        if end in document["post_processor"]:
            name, _ = document["post_processor"][end]
            document["post_processor"][end] = [name, ids[name]]
    special = {
        name: getattr(tokenizer, name)
        for name in ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    }
    return type(tokenizer)(
        tokenizer_object=Tokenizer.from_str(json.dumps(document)),
        do_lower_case=False,
        strip_accents=True,
        model_max_length=tokenizer.model_max_length,
        **special,
    )


def cased_vocabulary(
    uncased: Mapping[str, int],
    tokenizer: PreTrainedTokenizerFast,
    articles: Iterable[LabelledArticle],
    size: int,
) -> CasedVocabulary:
    """The pieces to keep and the cased ones to add, `size` in all."""
    wanted = _wanted(uncased, _counted(tokenizer, articles))
    specials = set(tokenizer.all_special_tokens)
    kept = [piece for piece in uncased if piece in specials or _is_kept(piece)]
    kept.sort(key=lambda piece: uncased[piece])
    # BERT's vocabularies are in the order of frequency, so the end is what can be spared. Two
    # thirds of the room go to what the text has, the rest stays with the uncased pieces.
    room = max(size - len(kept), min(len(wanted), size // 3))
    wanted = wanted[:room]
    while len(kept) + len(wanted) > size:
        kept.remove(next(piece for piece in reversed(kept) if len(piece.removeprefix("##")) > 3))
    pieces = [(piece, uncased[piece], 0) for piece in kept]
    pieces += [(piece, uncased[piece.lower()], _case(piece)) for piece in wanted]
    names, sources, cases = zip(*pieces, strict=True)
    return CasedVocabulary(names, sources, cases)


def _counted(
    tokenizer: PreTrainedTokenizerFast, articles: Iterable[LabelledArticle]
) -> Counter[str]:
    """The cased pieces of the text: its uncased pieces, as they are written in it."""
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter(
        word for article in articles for sentence in article.sentences for word in sentence.words
    )
    for word, count in words.items():
        plain = _without_accents(word)
        if plain == plain.lower() or len(plain) != len(word):
            continue
        encoded = tokenizer(plain, add_special_tokens=False, return_offsets_mapping=True)
        pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        for piece, (start, end) in zip(pieces, encoded["offset_mapping"], strict=True):
            prefix = CONTINUES if piece.startswith(CONTINUES) else ""
            written = prefix + plain[start:end]
            if written != piece and written.lower() == piece:
                counts[written] += count
    return counts


def _wanted(uncased: Mapping[str, int], counts: Counter[str]) -> list[str]:
    """Cased pieces, the most needed first."""
    letters = [
        piece for piece in uncased if (bare := piece.removeprefix(CONTINUES)).isascii()
        and bare.isalpha()
    ]  # fmt: skip
    letters.sort(key=lambda piece: uncased[piece])
    short = [piece for piece in letters if len(piece.removeprefix(CONTINUES)) <= SHORT_PIECE]
    begins = [piece for piece in letters if not piece.startswith(CONTINUES)]
    wanted = dict.fromkeys(
        [
            *(_capitalised(piece) for piece in short if not piece.startswith(CONTINUES)),
            *(_upper(piece) for piece in short),
            *(piece for piece, _ in counts.most_common()),
            *(_capitalised(piece) for piece in begins),
        ]
    )
    return [piece for piece in wanted if piece not in uncased]


def _is_kept(piece: str) -> bool:
    """Whether English news may need it: no reserved piece, no script but Latin and marks."""
    if piece.startswith("[unused"):
        return False
    return all(
        not character.isalpha() or "LATIN" in unicodedata.name(character, "")
        for character in piece.removeprefix(CONTINUES)
    )


def _capitalised(piece: str) -> str:
    return piece[0].upper() + piece[1:]


def _upper(piece: str) -> str:
    return piece.upper()


def _case(piece: str) -> int:
    bare = piece.removeprefix(CONTINUES)
    return 2 if bare.isupper() and (len(bare) > 1 or piece.startswith(CONTINUES)) else 1


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word)
    return "".join(one for one in decomposed if unicodedata.category(one) != "Mn")


def _change_embedding(model: PreTrainedModel, vocabulary: CasedVocabulary, seed: int) -> None:
    old = model.get_input_embeddings().weight.detach()
    draw = torch.Generator().manual_seed(seed)
    directions = torch.randn(2, old.shape[1], generator=draw)
    directions *= DIRECTION_LENGTH * old.norm(dim=1).mean() / directions.norm(dim=1, keepdim=True)
    directions = torch.cat([torch.zeros(1, old.shape[1]), directions]).to(old)
    rows = old[torch.tensor(vocabulary.sources)] + directions[torch.tensor(vocabulary.cases)]
    padding = vocabulary.sources.index(model.config.pad_token_id)
    embedding = nn.Embedding(len(rows), old.shape[1], padding_idx=padding)
    embedding.weight = nn.Parameter(rows.clone())
    model.set_input_embeddings(embedding)
    model.config.vocab_size = len(rows)
    model.config.pad_token_id = padding
