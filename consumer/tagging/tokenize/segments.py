"""Cutting a very long text for the tokenizer, where it makes no difference to the tokens.

A tokenizer needs some hundred bytes for each token while it works, so a text of 10 MB goes
through it in parts. A cut before a space between two letters or digits changes nothing for the
tokenizers in use. WordPiece drops the space; byte-level and SentencePiece tokenizers make it the
beginning of the next word. Neither normalisation nor a pre-tokenizer's pattern reaches across.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A text is cut at the last good place before this many characters.
SEGMENT_CHARACTERS = 65_536

#: A run of so many characters without a good place is cut where it stands. Its tokens at the cut
#: may differ from those of the whole. Far above any word, and any sentence of unspaced script.
LONGEST_SEGMENT_CHARACTERS = 262_144


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a text.

    Attributes:
        start, end: its code points in the text, end exclusive.
        is_forced: whether it was cut from the one before it within a word.
    """

    start: int
    end: int
    is_forced: bool = False


def cut_segments(
    text: str, size: int = SEGMENT_CHARACTERS, longest: int = LONGEST_SEGMENT_CHARACTERS
) -> list[Segment]:
    """Cut a text into segments that follow one another; one segment if it is short."""
    segments: list[Segment] = []
    start, is_forced = 0, False
    while len(text) - start > size:
        cut = _last_space(text, start + 1, start + size)
        if cut < 0:
            cut = _first_space(text, start + size, min(start + longest, len(text)))
        was_forced, is_forced = is_forced, False
        if cut < 0:
            cut = min(start + longest, len(text))
            is_forced = text[cut - 1 : cut + 1].isalnum()
        segments.append(Segment(start, cut, was_forced))
        start = cut
    if start < len(text) or not segments:
        segments.append(Segment(start, len(text), is_forced))
    return segments


def _last_space(text: str, low: int, high: int) -> int:
    """The last good cut in [low, high), or -1."""
    at = text.rfind(" ", low, high)
    while at >= 0 and not _is_good(text, at):
        at = text.rfind(" ", low, at)
    return at


def _first_space(text: str, low: int, high: int) -> int:
    """The first good cut in [low, high), or -1."""
    at = text.find(" ", low, high)
    while at >= 0 and not _is_good(text, at):
        at = text.find(" ", at + 1, high)
    return at


def _is_good(text: str, at: int) -> bool:
    return at + 1 < len(text) and text[at - 1].isalnum() and text[at + 1].isalnum()
