"""The labels of a model: what each output of the classifier means.

Checkpoints spell them in many ways: `B-PER`, `b_per`, `PER-B`, `S-PER`, `PER`; `O`, `NONE`, `B-O`,
`[PAD]`. All labels of a model are read together, since one alone is often ambiguous: only the
others show whether `E-MAIL` is the end of a MAIL or a type. What stays ambiguous is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consumer.contracts.errors import ModelError
from consumer.contracts.schemes import (
    CLOSING,
    LETTERS,
    OPENING,
    OUTSIDE,
    Scheme,
    scheme_of,
)

#: The type of the entities of a model whose labels are letters alone: B, I, O.
UNNAMED_TYPE = "ENTITY"

#: Names of the label for words in no entity, without case and punctuation.
_OUTSIDE = frozenset(("o", "0", "out", "outside", "none"))
#: Names of that label only in a model that has none of those above; beside an O they are types. The
#: last two are the Greek and the Cyrillic letter that look like an O.
_OUTSIDE_PERHAPS = frozenset(
    (
        *("other", "others", "background", "nothing", "null", "nil", "na", "noneoftheabove"),
        *("noentity", "nonentity", "notentity", "notanentity", "nonamedentity", "noner"),
        *("outsideofentity", "nolabel", "notag", "unlabeled", "unlabelled", "\u03bf", "\u043e"),
    )
)
#: Labels of tokens that are no text, or of which nothing is asked. They count only beside a label
#: that is outside.
_SPECIAL = re.compile(r"\[[A-Za-z]+\]|</?[A-Za-z]+>|PAD|X|IGNORE|-100")

_UNNAMED = re.compile(r"(LABEL|CLASS|TAG)[-_ ]?\d+|\d+", re.IGNORECASE)

#: What separates letter and type: also a space, other dashes than the hyphen, and several marks:
#: `B__PER`, `B - PER`.
_MARKS = r"-_:/|.#=+~@\\,;*\s\u2010-\u2015\u2212"
_SEPARATOR = f"[{_MARKS}]+"
_LETTER = f"[{''.join(sorted(LETTERS))}]"
_PREFIXED = re.compile(f"(?P<letter>{_LETTER}){_SEPARATOR}(?P<type>[^{_MARKS}].*)", re.IGNORECASE)
_SUFFIXED = re.compile(f"(?P<type>.*[^{_MARKS}]){_SEPARATOR}(?P<letter>{_LETTER})", re.IGNORECASE)
_LETTER_ALONE = re.compile(f"{_LETTER}{_SEPARATOR}|{_SEPARATOR}{_LETTER}", re.IGNORECASE)
#: What every scheme writes, and every tagger of transformers reads.
_USUAL = re.compile(f"[BI]-[^{_MARKS}].*")
#: Other ways to say which words begin an entity: `BEGIN-PER`, `B(PER)`, `BPER`. Two labels that
#: differ in this part alone show them: one begins an entity, one is inside.
_BEGIN_OR_INSIDE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<part>b(?:eg(?:in(?:ning)?)?)?|i(?:n(?:side)?)?)(?P<rest>\W.+|_.+|.{3,})",
        r"(?P<rest>.+\W|.+_|.{3,})(?P<part>b(?:eg(?:in(?:ning)?)?)?|i(?:n(?:side)?)?)(?P<end>\W*)",
    )
)

#: The letters as words. Alone they are of every type, as letters alone are.
_WORDS = {
    **{letter: letter for letter in LETTERS},
    **dict.fromkeys(("BEG", "BEGIN", "BEGINNING"), "B"),
    **dict.fromkeys(("IN", "INSIDE"), "I"),
    **{word: word[0] for word in ("MIDDLE", "END", "LAST", "SINGLE", "UNIT", "WHOLE")},
}
#: Those of them that are hardly ever a type, so that beside others they are in doubt.
_NO_TYPES = frozenset(word for word, letter in _WORDS.items() if letter in "BI")

#: Quotes around a label, with what Python writes in front of bytes.
_QUOTED = re.compile(r"[bu]?(['\"`])(?P<label>.*)\1")

#: Labels that an error names, and letters of each.
_SHOWN, _SHOWN_LETTERS = 4, 40


class _Read(NamedTuple):
    """A label as it was read; no type is outside, no letter a bare type."""

    type: str | None
    letter: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The classifier's outputs, read as entity types.

    Attributes:
        types: the distinct types, sorted; none of them is outside.
        type_ids: for each output the index into `types`, -1 for outside; shape (outputs,).
        begins: for each output whether it begins an entity in any case; shape (outputs,).
        ends: for each output whether the next word is in another entity; shape (outputs,).
        scheme: which letters the labels have.
        outside: the labels of words in no entity, as the model spells them.
        is_usual: whether the labels are `O`, `B-TYPE`, `I-TYPE` and bare types alone.
    """

    types: tuple[str, ...]
    type_ids: NDArray[np.int32]
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]
    scheme: Scheme
    outside: tuple[str, ...]
    is_usual: bool


def read_labels(id2label: Mapping[int, str], model: str) -> Labels:
    """Read a model's `id2label`.

    A type may be bare, which counts as inside, or carry a letter of IOB, BIOES (also BMES and
    BMEWO) or BILOU. The letter stands in front or behind, set off by `-` or another separator, in
    any case. Three kinds of labels are refused: those without a name (`LABEL_0`, which the library
    puts where nobody named them), those of which none is outside, since every word would be an
    entity, and those that can be read in two ways.

    Args:
        id2label: label of each output of the classifier.
        model: its name, for errors.

    Raises:
        ModelError: the labels cannot be read so.
    """
    count = len(id2label)
    if sorted(id2label) != list(range(count)):
        raise ModelError(
            f"model {model}: id2label in its config.json must number the labels from 0"
        )
    labels = _bare([_clean(id2label[index]) for index in range(count)])
    outside = _outside(labels)
    names = [label for label in dict.fromkeys(labels) if label not in outside]
    _check_names(labels, names, model)
    if not outside:
        raise ModelError(
            f"model {model}: none of its labels ({_shown(names)}) is for words in no entity, so "
            "every word would be one; choose a model that tags entities, or name that label O "
            "under id2label in its config.json"
        )
    if not names:
        raise ModelError(
            f"model {model}: it has no label but {', '.join(outside)}; choose a model that tags "
            "entities"
        )
    read = dict(zip(names, _read(names, model), strict=True))
    read.update(dict.fromkeys(outside, _Read(None)))
    found = [read[label] for label in labels]
    types = tuple(sorted({one.type for one in found if one.type is not None}))
    return Labels(
        types=types,
        type_ids=np.array(
            [-1 if one.type is None else types.index(one.type) for one in found], dtype=np.int32
        ),
        begins=np.array([one.letter in OPENING for one in found]),
        ends=np.array([one.letter in CLOSING for one in found]),
        scheme=scheme_of(frozenset(one.letter for one in found)),
        outside=outside,
        is_usual=outside == (OUTSIDE,)
        and all(_USUAL.fullmatch(name) or read[name] == _Read(name) for name in names),
    )


def _clean(label: str) -> str:
    """A label as letters of one form, without what is seen nowhere at its edges."""
    text = unicodedata.normalize("NFKC", label)
    seen = [place for place, character in enumerate(text) if not _is_unseen(character)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def _bare(labels: Sequence[str]) -> list[str]:
    """The labels without quotes that stand around all of them, as Python writes a text."""
    quoted = [_QUOTED.fullmatch(label) for label in labels]
    matches = [match for match in quoted if match is not None]
    return [match["label"] for match in matches] if len(matches) == len(labels) else [*labels]


def _is_unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cc", "Cf")


def _outside(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels of words in no entity, each once, with those of tokens that are no text."""
    distinct = list(dict.fromkeys(labels))
    found = {label for label in distinct if _is_outside(label)}
    found = found or {label for label in distinct if _plain(label) in _OUTSIDE_PERHAPS}
    if found:
        found |= {label for label in distinct if _SPECIAL.fullmatch(label)}
    return tuple(label for label in distinct if label in found)


def _is_outside(label: str) -> bool:
    # `B-O` and `I-O` come from tools that put a letter in front of every label.
    # A 0 behind one may be the first of numbered types.
    match = _PREFIXED.fullmatch(label) or _SUFFIXED.fullmatch(label)
    return _plain(label) in _OUTSIDE or (
        match is not None and _plain(match["type"]) in _OUTSIDE - {"0"}
    )


def _plain(label: str) -> str:
    return "".join(filter(str.isalnum, label)).lower()


def _check_names(labels: Sequence[str], names: Sequence[str], model: str) -> None:
    unnamed = [name for name in names if _UNNAMED.fullmatch(name)]
    if unnamed and (unnamed == names or unnamed[0].startswith("LABEL_")):
        raise ModelError(
            f"model {model}: its labels have no names ({unnamed[0]}, ...); name them under "
            "id2label in its config.json: O, B-PER, I-PER and so on"
        )
    has_outside = any(label not in names for label in labels)
    for number, label in enumerate(labels):
        if label in names and (_LETTER_ALONE.fullmatch(label) or not _plain(label)):
            # A mark alone is a usual way to write nothing.
            is_mark = bool(label) and not _plain(label) and not has_outside
            remedy = (
                "if it is for words in no entity, name it O under id2label in its config.json, "
                "else give it a type there, such as B-PER or PER"
                if is_mark
                else "give it one under id2label in its config.json, such as B-PER or PER"
            )
            raise ModelError(
                f"model {model}: its label {number}, {label!r}, names no type; {remedy}"
            )
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in label):
            raise ModelError(
                f"model {model}: its label {number}, {label!r}, holds what is no character of a "
                "text; name it under id2label in its config.json, such as B-PER or PER"
            )


def _read(names: Sequence[str], model: str) -> list[_Read]:
    """Letter and type of each of the labels that are not outside, of which there is one."""
    letters = [_WORDS.get(name.upper()) for name in names]
    if None not in letters and {"B", "I"} & {*letters}:
        return [_Read(UNNAMED_TYPE, letter) for letter in letters if letter is not None]
    for name in names:
        if name.upper() in _NO_TYPES:
            raise _alone(name, model)
    for pattern in (_PREFIXED, _SUFFIXED):
        matches = [pattern.fullmatch(name) for name in names]
        sure = _sure_types(matches, in_front=pattern is _PREFIXED)
        if sure:
            return _with_letters(names, matches, sure, model)
        if None not in matches:
            raise _ambiguous(names[0], model)
    for pattern in _BEGIN_OR_INSIDE:
        begun: dict[str, tuple[str, str]] = {}
        for match in filter(None, map(pattern.fullmatch, names)):
            part, rest = match["part"][0].upper(), match["rest"]
            other, name = begun.setdefault(rest, (part, match[0]))
            if other != part:
                raise _ambiguous(name, model)
    return [_Read(name) for name in names]


def _sure_types(matches: Sequence[re.Match[str] | None], *, in_front: bool) -> set[str]:
    """The types that surely have a letter in front of them, or behind.

    Args:
        matches: of every label with the pattern for one of the two.
    """
    letters: defaultdict[str, set[str]] = defaultdict(set)
    for match in filter(None, matches):
        letters[match["type"]].add(match["letter"].upper())
    # A letter may belong to the type, as in `b_cell` and, more often, `VITAMIN_B`. It does not if
    # the type has two letters that belong together.
    sure = {one for one, found in letters.items() if "B" in found and found & set("IM")}
    if in_front:
        sure |= {match["type"] for match in filter(None, matches) if _USUAL.fullmatch(match[0])}
        if None not in matches:
            sure |= {one for one, found in letters.items() if found & set("BI")}
    return sure


def _with_letters(
    names: Sequence[str],
    matches: Sequence[re.Match[str] | None],
    sure: Collection[str],
    model: str,
) -> list[_Read]:
    """The labels, some bare and some with letters. Those with letters must be of the sure types."""
    used = {m["letter"].upper() for m in filter(None, matches) if m["type"] in sure} | {"B", "I"}
    read: list[_Read] = []
    for name, match in zip(names, matches, strict=True):
        if name.upper() in LETTERS:
            raise _alone(name, model)
        letter = match["letter"].upper() if match else ""
        if match and letter not in used:
            raise _ambiguous(name, model)
        read.append(_Read(match["type"], letter) if match else _Read(name))
    return read


def _ambiguous(name: str, model: str) -> ModelError:
    return ModelError(
        f"model {model}: its label {name!r} may be a type, or a type with a letter of IOB, BIOES "
        "or BILOU, and its other labels do not say which; name it under id2label in its "
        "config.json as B-TYPE, I-TYPE, or a TYPE without such a letter"
    )


def _alone(name: str, model: str) -> ModelError:
    return ModelError(
        f"model {model}: its label {name!r} may be a type, or a part of an entity of any type, and "
        "its other labels do not say which; name it under id2label in its config.json as B-TYPE, "
        "I-TYPE, or a TYPE that is no such letter or word"
    )


def _shown(names: Sequence[str]) -> str:
    shown = [
        name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}..."
        for name in names[:_SHOWN]
    ]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN else "")
