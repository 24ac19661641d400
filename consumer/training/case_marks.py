"""Giving an uncased WordPiece checkpoint its case back, by marks that the tokenizer writes.

An uncased model reads *Slack* and *slack* alike. Here the tokenizer's normalizer appends a mark
to every word that has a capital, before it lowers the case: *Slack* becomes `slack` `##˄`. The
pieces of the word stay those that the checkpoint knows, names that the training text never had
included, and fine-tuning has to learn three rows of the embedding only. The mark is a sub-word of
its word with the offsets of the word's last character, so words and offsets stay what they were.
The result is a plain checkpoint with a plain tokenizer.
"""

from __future__ import annotations

import json
from enum import StrEnum

import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

#: What a WordPiece vocabulary writes before a piece that continues a word.
CONTINUES = "##"


class CaseMark(StrEnum):
    """What is appended to a word. Modifier symbols: BERT's pre-tokenizer takes them for no
    punctuation, so they stay with the word; and no accents, so they are not stripped."""

    CAPITALISED = "\u02c4"  # ˄  Lisbon
    UPPER = "\u02ed"  # ˭  LISBON
    MIXED = "\u02f7"  # ˷  McDonald, iPhone


#: Characters of words; a mark ends a word that has one.
_WORD = r"\p{L}\p{M}\p{N}"

#: `\K` leaves what was matched before it out of the match, so that what is replaced is the empty
#: string at the end of the word. A word gets one mark: the earlier patterns' marks end words too.
#: `(?>...)` gives nothing back. Without it the time for a word grows with the square of its length,
#: and the engine breaks on one of five thousand capitals.
_PATTERNS = {
    CaseMark.UPPER: (
        rf"(?<![{_WORD}])(?=\p{{Lu}}(?>[\p{{M}}\p{{N}}]*)\p{{Lu}})(?>[\p{{Lu}}\p{{M}}\p{{N}}]+)"
        rf"\K(?![{_WORD}])"
    ),
    CaseMark.CAPITALISED: (
        rf"(?<![{_WORD}])\p{{Lu}}(?>[\p{{Ll}}\p{{Lo}}\p{{Lm}}\p{{M}}\p{{N}}]*)\K(?![{_WORD}])"
    ),
    CaseMark.MIXED: (
        rf"(?<![{_WORD}])(?=(?>[\p{{Ll}}\p{{Lt}}\p{{Lo}}\p{{Lm}}\p{{M}}\p{{N}}]*)\p{{Lu}})"
        rf"(?>[{_WORD}]+)\K(?![{CaseMark.UPPER}{CaseMark.CAPITALISED}])"
    ),
}


def with_case_marks(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int
) -> PreTrainedTokenizerFast:
    """Draw the marks' rows in the model's embedding, in place; gives the tokenizer that writes
    them.

    Args:
        model: reads uncased WordPiece.
        tokenizer: its tokenizer.
        seed: of the rows.

    Raises:
        ValueError: see `marking_tokenizer`.
    """
    marking = marking_tokenizer(tokenizer)
    _draw_rows(model, sorted(mark_ids(marking).values()), seed)
    return marking


def marking_tokenizer(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer, writing marks, which take the places of reserved pieces (`[unused0]`
    and so on).

    Raises:
        ValueError: it is no uncased WordPiece, or has too few reserved pieces.
    """
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer = document.get("normalizer") or {}
    if document["model"]["type"] != "WordPiece" or not normalizer.get("lowercase"):
        raise ValueError("only an uncased WordPiece tokenizer can be given marks of case")
    vocabulary = document["model"]["vocab"]
    reserved = sorted(
        (index, piece) for piece, index in vocabulary.items() if piece.startswith("[unused")
    )
    if len(reserved) < len(CaseMark):
        raise ValueError(
            f"its vocabulary has {len(reserved)} reserved pieces ([unusedN]), "
            f"fewer than the {len(CaseMark)} marks of case"
        )
    for mark, (index, piece) in zip(CaseMark, reserved, strict=False):
        del vocabulary[piece]
        vocabulary[CONTINUES + mark] = index
    marked = Tokenizer.from_str(json.dumps(document))
    marked.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(Regex(pattern), mark) for mark, pattern in _PATTERNS.items()),
            tokenizer.backend_tokenizer.normalizer,
        ]
    )
    # Text that is put together again from tokens has no marks.
    marked.decoder = decoders.Sequence(
        [
            tokenizer.backend_tokenizer.decoder or decoders.WordPiece(),
            decoders.Replace(Regex(f"[{''.join(CaseMark)}]"), ""),
        ]
    )
    special = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    # Not the tokenizer's own class: BERT's makes its normalizer anew when it is loaded.
    return PreTrainedTokenizerFast(
        tokenizer_object=marked,
        model_max_length=tokenizer.model_max_length,
        **{name: getattr(tokenizer, name) for name in special},
    )


def mark_ids(tokenizer: PreTrainedTokenizerFast) -> dict[CaseMark, int]:
    """The ids of the marks; none where the tokenizer writes none."""
    vocabulary = tokenizer.get_vocab()
    return {
        mark: vocabulary[CONTINUES + mark] for mark in CaseMark if CONTINUES + mark in vocabulary
    }


@torch.no_grad()
def _draw_rows(model: PreTrainedModel, rows: list[int], seed: int) -> None:
    """Rows like any other: reserved pieces were never trained and are short."""
    weight = model.get_input_embeddings().weight
    draw = torch.Generator().manual_seed(seed)
    deviation = float(weight.std())
    weight[rows] = (torch.randn(len(rows), weight.shape[1], generator=draw) * deviation).to(weight)
