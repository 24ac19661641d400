"""Texts of our own making for what tokenizers and offsets get wrong; always the same ones."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.support.models.tiny_models import SENTENCES

_PEOPLE = ("Marta Lindqvist", "Jean-Pierre Okafor", "Anna Petrova", "Seán O'Brien", "Li Wei",
           "José Ñuñez", "D. T. Achebe", "Sæunn Ólafsdóttir")  # fmt: skip
_PLACES = ("Lisbon", "São Paulo", "Kotor", "the U.S.", "Nordrhein-Westfalen", "Tokyo", "Łódź")
_BODIES = ("Nordbank", "Océan Trust", "FC Vesna", "Orbital Motors plc", "U.N.", "Åland & Sons")
_VERBS = ("met", "sued", "has left", "beat 3-1", "did not join", "bought 4.5% of")
_TIMES = ("on Tuesday", "in 2019", "at 9:30 a.m.", "", "yesterday -", "(again)")
_FORMS = (
    "{person} {verb} {body} in {place} {time}.",
    "{place}, Oct 7: {body} {verb} {other}, {person} said.",
    '"{body}\'s {person} {verb} {other}!" -- {place}',
    "{PLACE} SHARES FALL AS {BODY} {VERB} {OTHER}",
    "{person}/{body}: {verb} {other}?",
    "@{body} #{place} {person}…",
)

_SPACES = (
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u00a0",
    "\u2009",
    "\u3000",
    "\u200b",
    "\u2028",
    "\ufeff",
)
_EMOJI = ("🎉", "😀", "👩‍👩‍👧", "🇵🇹", "🇯🇵🇧🇷", "👍🏽", "1️⃣", "❤️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "☕")
_MARKS = "\u0301\u0308\u0327\u0323\u0332\u20dd\u0345\u0489"
_RIGHT_TO_LEFT = ("قالت", "ليلى", "حدّاد", "في", "بيروت،", "אנה", "לונד", "בְּיָפוֹ", "٣٫٥", "؟",
                  "\u200f", "\u202babc\u202c", "\u2067Kotor\u2069")  # fmt: skip
_BLANK = ("", " ", "\n", "\t \n", "\u00a0", "\u200b", "\u3000\u3000", "  \r\n ", "\ufeff")
_WORDS = tuple(word for sentence in SENTENCES for word in sentence.split())
_PUNCTUATION = "-–—.,;:!?'’\"“”«»()[]{}/\\|@#%&*+=~^_`´…·•°§¶€£₹№™"

CONTROLS = [chr(point) for point in (*range(0x20), *range(0x7F, 0xA0))]

#: What no tokenizer of ours is given. (The other controls are white space to a tokenizer.)
UNREADABLE = [*(control for control in CONTROLS if control not in "\t\n\r"), "\u200b", "\ufeff"]


def without_controls(text: str) -> str:
    """The text with a space for each character that no tokenizer of ours is given."""
    return "".join(" " if character in UNREADABLE else character for character in text)


def hard_texts(count: int, seed: int = 11) -> list[str]:
    """So many texts, the kinds in turn; no lone surrogates and no special tokens."""
    draw = random.Random(seed)
    return [_KINDS[place % len(_KINDS)](draw) for place in range(count)]


def _news(draw: random.Random) -> str:
    person, other = draw.sample(_PEOPLE, 2)
    words = {
        "person": person,
        "other": other,
        "place": draw.choice(_PLACES),
        "body": draw.choice(_BODIES),
        "verb": draw.choice(_VERBS),
        "time": draw.choice(_TIMES),
    }
    return draw.choice(_FORMS).format(**words, **{k.upper(): v.upper() for k, v in words.items()})


def _unicode(draw: random.Random) -> str:
    """Any code points but surrogates, the lower planes more often."""
    highest = [0x7F, 0x24F, 0x2FFF, 0xD7FF, 0x1FFFF, 0x10FFFF]
    points = (draw.randint(0, draw.choice(highest)) for _ in range(draw.randint(1, 14)))
    return "".join(chr(point) for point in points if not 0xD800 <= point <= 0xDFFF)


def _spaced(draw: random.Random) -> str:
    pieces = [draw.choice(_SPACES)] if draw.random() < 0.4 else []
    for word in draw.sample(_WORDS, 3):
        if draw.random() < 0.3:
            cut = draw.randint(0, len(word))
            word = word[:cut] + draw.choice(_SPACES) + word[cut:]
        pieces += [word, *draw.choices(_SPACES, k=draw.randint(0, 3))]
    return "".join(pieces)


def _emoji(draw: random.Random) -> str:
    words = draw.sample(_WORDS, 2) + draw.choices(_EMOJI, k=3)
    draw.shuffle(words)
    return draw.choice(("", " ")).join(words)


def _marked(draw: random.Random) -> str:
    return "".join(
        letter + "".join(draw.choices(_MARKS, k=draw.choice((0, 0, 1, 2, 5))))
        for letter in " ".join(draw.sample(_WORDS, 2))
    )


def _right_to_left(draw: random.Random) -> str:
    words = draw.choices(_RIGHT_TO_LEFT, k=draw.randint(1, 6))
    return " ".join([*words, *draw.choices(("Kotor", "3.5", "Анна"), k=draw.randint(0, 1))])


def _punctuated(draw: random.Random) -> str:
    words = draw.sample(_WORDS, 2)
    marks = "".join(draw.choices(_PUNCTUATION, k=draw.randint(1, 5)))
    return draw.choice((marks.join(words), marks + words[0], f"{words[0]} {marks} {words[1]}"))


def _mixed(draw: random.Random) -> str:
    kinds = draw.choices((_news, _unicode, _spaced, _emoji, _marked, _right_to_left), k=2)
    return draw.choice(("", " ", "\n")).join(kind(draw) for kind in kinds)


def _blank(draw: random.Random) -> str:
    return draw.choice(_BLANK) * draw.randint(1, 2)


_KINDS: tuple[Callable[[random.Random], str], ...] = (
    _news, _unicode, _spaced, _emoji, _news, _marked, _right_to_left, _punctuated, _mixed, _blank,
)  # fmt: skip
