"""Where words begin, in tokens: plain arrays, no torch, no tokenizer.

A word is a run of characters without white space and without punctuation, the same for every
tokenizer. `Jean-Pierre` is three words, `G20` is one, and a combining mark belongs to the
character before it. Control characters, the zero-width space and the byte order mark are white
space (`readable` says why). Punctuation is what BERT's pre-tokenizer takes for it: category P, and
every ASCII character that is neither letter, digit nor white space. Some scripts put no space
between words (Han, Kana, Thai, Lao, Myanmar, Khmer, Tibetan). There the token is the word, since
nothing in the text says more.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

#: Classes of characters; a word character is 0.
_SPACE, _PUNCTUATION, _UNSPACED, _MARK = 1, 2, 4, 8

#: Classes of what no tokenizer is given; see `readable`.
_CONTROL, _SURROGATE = 16, 32

#: Control characters but those that tokenizers read as white space, the zero-width space and the
#: byte order mark.
_CONTROLS = frozenset((*range(0x20), *range(0x7F, 0xA0), 0x200B, 0xFEFF)) - set(b"\t\n\r")

#: What no entity begins or ends with: white space, and the control characters with it.
BLANKS = "".join(chr(p) for p in range(0x10000) if p in _CONTROLS or chr(p).isspace())

#: What is seen nowhere and joins nothing: the soft hyphen, marks of direction, invisible operators.
#: An entity has none at its edges. (The joiners U+200C and U+200D shape the letters beside them.)
_INVISIBLE = frozenset(
    "\u00ad\u061c\u180e\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069"
)
_NEVER_AT_EDGES = _INVISIBLE.union(BLANKS)

#: Scripts without spaces between words, as ranges of code points (Unicode block charts).
_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # iteration mark, ideographic zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xF900, 0xFAFF),  # CJK compatibility
    (0x20000, 0x323AF),  # CJK extensions B to H
)

#: Code points from here on are of class 0. Planes 4 to 16 hold private use and variation
#: selectors; the latter are marks, but follow no letter in practice.
_CLASSES_END = 0x40000
_UNCLASSED = chr(_CLASSES_END)


def code_points(text: str) -> NDArray[np.uint32]:
    """The text as an array of its code points, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def character_classes(points: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The class of each code point, and one 0 after the last, shape (len + 1,)."""
    classes = np.zeros(len(points) + 1, dtype=np.uint8)
    classes[:-1] = _class_table()[np.minimum(points, _CLASSES_END)]
    return classes


def readable(
    points: NDArray[np.uint32], classes: NDArray[np.uint8]
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """A text that every tokenizer reads with offsets that are true: as long as the given one.

    A control character becomes a space, since normalizers take it away. BERT's then joins the words
    beside it. SentencePiece's character map, where the text begins with it, moves every offset
    behind it. U+200B and U+FEFF, a space to one tokenizer and nothing to another, become spaces
    too. A lone surrogate is no character, and becomes U+FFFD.

    Returns:
        The text and its classes, as `code_points` and `character_classes` give them.
    """
    odd = np.flatnonzero(classes >= _CONTROL)
    if not odd.size:  # as nearly always
        return points, classes
    is_control = classes[odd] == _CONTROL
    points, classes = points.copy(), classes.copy()
    points[odd] = np.where(is_control, ord(" "), 0xFFFD)
    classes[odd] = np.where(is_control, _SPACE, 0)
    return points, classes


def trim(
    starts: NDArray[np.int32], ends: NDArray[np.int32], classes: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Spans without the white space at their edges; one of white space only is empty, at its end.

    Byte-level and SentencePiece tokens begin with the space before the word.
    """
    is_space = classes == _SPACE
    is_space[-1] = False
    last = np.maximum(ends - 1, 0)
    padded = (ends > starts) & (is_space[starts] | is_space[last])
    if not padded.any():
        return starts, ends
    # The nearest other character at or after, and at or before, each position.
    positions = np.arange(len(classes), dtype=np.int32)
    after = np.where(is_space, np.int32(len(classes)), positions)
    after = np.minimum.accumulate(after[::-1])[::-1]
    before = np.maximum.accumulate(np.where(is_space, np.int32(-1), positions))
    trimmed_starts = np.where(padded, np.minimum(after[starts], ends), starts)
    trimmed_ends = np.where(padded, np.maximum(before[last] + 1, trimmed_starts), ends)
    return trimmed_starts, trimmed_ends


def word_starts(
    starts: NDArray[np.int32], ends: NDArray[np.int32], classes: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """For each token whether it begins a word; spans are trimmed, shape (tokens,)."""
    begins = np.ones(len(starts), dtype=np.bool_)
    if len(starts) < 2:
        return begins
    spaces_before = np.cumsum(classes == _SPACE, dtype=np.int32)
    previous_starts, previous_ends, here = starts[:-1], ends[:-1], starts[1:]
    # cumsum is inclusive: the characters of [previous_end, here) are those up to here - 1.
    gap = spaces_before[np.maximum(here - 1, 0)] - spaces_before[np.maximum(previous_ends - 1, 0)]
    is_apart = (here > previous_ends) & (gap > 0)
    last = np.maximum(previous_ends - 1, 0)
    last_class = np.where(previous_ends > previous_starts, _of_bases(classes)[last], 0)
    is_edge = ((last_class | classes[here]) & (_PUNCTUATION | _UNSPACED)) != 0
    # A byte of a character that the token before began is never a word of its own.
    is_inside = (here < previous_ends) | (classes[here] == _MARK)
    begins[1:] = is_apart | (is_edge & ~is_inside)
    return begins


def _of_bases(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The classes, where a combining mark has that of the character that it stands on."""
    is_mark = classes == _MARK
    if not is_mark.any():
        return classes
    positions = np.arange(len(classes), dtype=np.int32)
    bases = np.maximum.accumulate(np.where(is_mark, np.int32(0), positions))
    return classes[bases]


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """A span of tokens, moved to the edges of the words that it begins and ends in.

    A normalizer that strips accents leaves a word's last combining mark outside of its tokens. One
    that composes characters gives the composed one the place of a part (Hangul from jamo, Kana with
    a half-width sound mark). What a normalizer takes away belongs to no token at all.
    """
    while start < end < len(text) and _is_one_word(text, end):
        end += 1
    while 0 < start < end and _is_one_word(text, start):
        start -= 1
    while start < end and text[end - 1] in _NEVER_AT_EDGES:
        end -= 1
    while start < end and text[start] in _NEVER_AT_EDGES:
        start += 1
    return start, end


def _is_one_word(text: str, place: int) -> bool:
    """Whether a word goes on from the character before this place to the one at it."""
    right, before = _class_of(text[place]), place - 1
    if right not in (0, _MARK, _SURROGATE):
        return False
    if right != _MARK:
        while before > 0 and _class_of(text[before]) == _MARK:
            before -= 1
    left = _class_of(text[before])
    return left not in (_SPACE, _CONTROL) and (right == _MARK or left in (0, _MARK, _SURROGATE))


def _class_of(character: str) -> int:
    return _class_bytes()[ord(character)] if character < _UNCLASSED else 0


@cache
def _class_bytes() -> bytes:
    """The table for one character at a time, which an array is slow at."""
    return _class_table().tobytes()


@cache
def _class_table() -> NDArray[np.uint8]:
    table = np.zeros(_CLASSES_END + 1, dtype=np.uint8)
    for first, last in _UNSPACED_BLOCKS:
        table[first : last + 1] = _UNSPACED
    # Ideographs need no look-up of their category, which would cost a tenth of a second.
    for point in (*range(0x3400), *range(0xA000, 0x20000)):
        character = chr(point)
        category = unicodedata.category(character)
        if character.isspace():
            table[point] = _SPACE
        elif category[0] == "M":
            table[point] = _MARK
        elif category[0] == "P" or (point < 128 and category[0] in "SC"):
            table[point] = _PUNCTUATION
    table[list(_CONTROLS)] = _CONTROL
    table[0xD800:0xE000] = _SURROGATE
    table.setflags(write=False)
    return table
