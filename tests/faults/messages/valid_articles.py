"""Valid articles of many kinds, made from a seeded random source: what the mutations start from."""

from __future__ import annotations

import json
from random import Random
from typing import Any

#: Words in several scripts; a capitalised one is a name to the light tagger.
WORDS = (
    *("the", "a", "of", "and", "said", "on", "Monday", "rain", "train", "vote", "goal", "price"),
    *("Lisbon", "Nairobi", "Halden", "Robotics", "Inês", "Carvalho", "Diallo", "Øresund", "OSLO"),
    *("flood", "über", "naïve", "Été", "3.5", "2026", "U.S.", "O'Neill", "well-known", "Иван"),
    *("Москва", "город", "東京", "首相", "서울", "ลอนดอน", "Αθήνα", "καλημέρα", "ñandú", "ß"),
)

#: Text that is hard on whoever counts characters: what it is, and an example.
HARD_TEXTS = {
    "emoji": "Amara 👩‍🍳 met 👨‍👩‍👧‍👦 in Dakar 🇸🇳 👋🏽 Lisbon \U000e0067 Rome",
    "combining_marks": "Ine\u0302s Sa\u0303o \u0301\u0302 Z\u0351\u036b\u0343algo Vie\u0302\u0323t",
    "right_to_left": "قال Halden في \u202eLisbon\u202c ירושלים \u200fTel Aviv\u200e שלום",
    "odd_spaces": "Oslo\u00a0Bergen\u2003Lima\u2028Quito\u200bRome\ufeffParis\u3000Tokyo\u0085Kiev",
    "noncharacters": "Lima \ufffe\uffff\U0010ffff\ufffd Quito \ufdd0 Oslo \ue000",
    "code": '<b>Halden</b> &amp; "Oslo" \\u0041 C:\\Lima {[,]} \'); DROP TABLE Articles;--',
}


def sentence(rng: Random, words: int) -> str:
    """So many words with a full stop."""
    return " ".join(rng.choices(WORDS, k=words)) + "."


def article(rng: Random, number: int) -> dict[str, Any]:
    """One valid article; its id is the number."""
    made: dict[str, Any] = {"id": str(number)}
    if rng.random() < 0.8:
        made["title"] = rng.choice((sentence(rng, rng.randint(1, 9)), None, ""))
    made["body"] = sentence(rng, rng.randint(1, 60))
    for name in ("section", "published_at", "meta", "rank", "tags"):
        if rng.random() < 0.4:
            made[name] = _extra(rng, 2)
    if rng.random() < 0.3:
        made = dict(rng.sample(list(made.items()), len(made)))
    return made


def spelled(rng: Random, document: Any) -> bytes:
    """A document as JSON in one of the ways in which producers write it."""
    text = json.dumps(
        document,
        ensure_ascii=rng.random() < 0.3,
        indent=rng.choice((None, None, None, 1, 4)),
        separators=rng.choice((None, (",", ":"), (" ,\t", " :\r\n "))),
    )
    text = rng.choice(("", "", "", " \n")) + text + rng.choice(("", "", "", "\r\n "))
    # A lone surrogate, where a document has one, becomes bytes that are not UTF-8.
    return text.encode("utf-8", "surrogatepass")


def _extra(rng: Random, depth: int) -> Any:
    kinds = 9 if depth else 7
    match rng.randrange(kinds):
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.randint(-(10**6), 10**6)
        case 2:
            return rng.uniform(-1e9, 1e9)
        case 3:
            return rng.choice((0, -0.0, 1e300, 5e-324, 2**53 + 1, -(2**63), 2**64 - 1, 10**40))
        case 4 | 5:
            return sentence(rng, rng.randint(1, 5))
        case 6:
            return rng.choice(tuple(HARD_TEXTS.values()))
        case 7:
            return [_extra(rng, depth - 1) for _ in range(rng.randint(0, 4))]
        case _:
            return {sentence(rng, 1): _extra(rng, depth - 1) for _ in range(rng.randint(0, 4))}
