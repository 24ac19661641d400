"""Mutations of an article as a document: JSON that is odd, too much, or of the wrong shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from tests.faults.messages.valid_articles import HARD_TEXTS, article, sentence, spelled
from tests.faults.workers.light_tagger import NOT_A_NUMBER

_WRONG: tuple[Any, ...] = (None, True, False, 0, 42, -1.5, [], ["a"], {}, {"text": "x"}, "", 10**30)

_NUMBERS = (
    *("NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999", "1e-999", "-0"),
    *("0.0", "1E+02", "1e308", "1.8e308", "-1.7976931348623157e308", "1.7976931348623159e308"),
    *("18446744073709551616", "-9223372036854775809", "9" * 308, "9" * 400, "9" * 5_000),
    *("0." + "3" * 5_000, "01", "+1", ".5", "5.", "0x10", "1_000", "1e", "--1", "٣", "5e-324"),
)

_STRINGS = (
    *('"\\ud83d"', '"\\ude00"', '"\\ude00\\ud83d"', '"\\ud83d\\ude00"', '"\\ud83dx"'),
    *('"\\uD83D\\uDE00 \\u0000"', '"\\u0000"', '"\\u001f\\u007f\\u0080"', '"\\/\\b\\f\\n\\r\\t"'),
    *('"\\x41"', '"\\u12"', '"\\u00G0"', '"\\"', "'single'", '"\\a"', '"\\u2028\\ufeff"'),
    *('"a\nb"', '"a\x00b"', '"a\x1fb"', '"a\x7fb"', '"tab\there"', '"\u2028"'),
)


def _member(document: dict[str, Any], name: str, value: str) -> bytes:
    """A document with one more member at its end, whose value is spelled as it stands."""
    text = json.dumps(document, ensure_ascii=False)
    comma = "," if document else ""
    return f"{text[:-1]}{comma}{json.dumps(name)}:{value}}}".encode()


def _odd_number(rng: Random, number: int) -> bytes:
    name = rng.choice(("n", "id", "title", "entities"))
    return _member(article(rng, number), name, rng.choice(_NUMBERS))


def _odd_string(rng: Random, number: int) -> bytes:
    name = rng.choice(("s", "id", "title", "body", "tagging"))
    document = article(rng, number)
    if name != "s":
        document.pop(name, None)
    return _member(document, name, rng.choice(_STRINGS))


def _deep(rng: Random, number: int) -> bytes:
    levels = rng.choice((2, 100, 126, 127, 128, 129, 200, 600, 1_022, 1_025, 5_000, 100_000))
    if rng.random() < 0.5:
        tree = "[" * levels + "]" * levels
    else:
        tree = '{"a":' * levels + "1" + "}" * levels
    if rng.random() < 0.2:
        tree = tree[:-1]
    name = rng.choice(("tree", "entities", "body"))
    return _member(article(rng, number), name, tree)


def _wrong_type(rng: Random, number: int) -> bytes:
    document = article(rng, number)
    for name in rng.choices(("id", "title", "body"), k=rng.choice((1, 1, 2))):
        document[name] = rng.choice(_WRONG)
    return spelled(rng, document)


def _missing(rng: Random, number: int) -> bytes:
    document = article(rng, number)
    for name in rng.choices(("id", "title", "body"), k=rng.choice((1, 1, 2))):
        document.pop(name, None)
        if rng.random() < 0.5:
            document[rng.choice((name.upper(), f" {name}", f"{name}\u0000"))] = "x"
    return spelled(rng, document)


def _blank(rng: Random, number: int) -> bytes:
    blank = rng.choice(("", " ", "\n", "\u0000", "\u3000", "\u200b", "\t\r\n "))
    return spelled(rng, {**article(rng, number), "title": blank, "body": blank})


def _no_object(rng: Random, number: int) -> bytes:
    document = article(rng, number)
    return spelled(rng, rng.choice(([document], json.dumps(document), [], list(document))))


def _repeated_names(rng: Random, number: int) -> bytes:
    document = article(rng, number)
    name = rng.choice(("id", "title", "body", "x", "", "\\u0069d", "ti\\u0074le"))
    text = json.dumps(document, ensure_ascii=False)
    values = (json.dumps(sentence(rng, 3)), "null", "5", '""', '"Oslo"', "[" * 130 + "]" * 130)
    member = f'"{name}":{rng.choice(values)}'
    if rng.random() < 0.5:
        return f"{{{member},{text[1:]}".encode()
    return f"{text[:-1]},{member},{member}}}".encode()


def _reserved_fields(rng: Random, number: int) -> bytes:
    values = (
        "null",
        "[]",
        '"}"',
        "{}",
        '[{"start":-1}]',
        '{"model":"x","a":[1,{"b":"]"}]}',
        "1.50",
    )
    names = ("entities", "tagging", "\\u0065ntities", "taggin\\u0067", "Entities", "entities ")
    parts = [f'"{rng.choice(names)}" : {rng.choice(values)}' for _ in range(rng.randint(1, 3))]
    document = article(rng, number)
    parts += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in document.items()]
    parts.append('"meta": {"entities": [1], "tagging": "{"}')
    rng.shuffle(parts)
    return ("{" + rng.choice((",", " ,\n")).join(parts) + "}").encode()


def _hard_text(rng: Random, number: int) -> bytes:
    text = " ".join(rng.choices(tuple(HARD_TEXTS.values()), k=rng.randint(1, 4)))
    document = article(rng, number)
    document[rng.choice(("title", "body"))] = text + " " + sentence(rng, 4)
    return spelled(rng, document)


def _arbitrary_text(rng: Random, number: int) -> bytes:
    points = (rng.choice((0x80, 0x800, 0xD800, 0x110000)) for _ in range(rng.randint(1, 80)))
    text = "".join(chr(rng.randrange(end)) for end in points)
    return spelled(rng, {**article(rng, number), "body": text})


def _control_characters(rng: Random, number: int) -> bytes:
    text = "".join(chr(rng.randrange(0x20)) for _ in range(8)).join(("Oslo", "Lima"))
    value = spelled(rng, {**article(rng, number), "body": text})
    # Half of them as they are, which JSON forbids.
    return value if rng.random() < 0.5 else value.replace(b"\\n", b"\n").replace(b"\\t", b"\t")


def _long_word(rng: Random, number: int) -> bytes:
    # Rare, since a hundred thousand letters weigh as much as two hundred articles.
    letters = 100_000 if rng.random() < 0.1 else rng.choice((500, 2_000))
    word = rng.choice(("x", "X", "é", "東", "\u0301", "👋", "ﷺ")) * letters
    return spelled(rng, {**article(rng, number), "body": f"Oslo {word} Lima"})


def _many_members(rng: Random, number: int) -> bytes:
    many = {f"field {n}": n for n in range(rng.choice((200, 500)))}
    return spelled(rng, {**many, **article(rng, number)})


def _odd_names(rng: Random, number: int) -> bytes:
    names = ("", "__proto__", '"', "\\", "\u0000", "id ", "ID", "🙂", "a.b", "$ref", "n" * 1_000)
    return spelled(rng, {**dict.fromkeys(rng.choices(names, k=3), "Oslo"), **article(rng, number)})


def _not_a_number(rng: Random, number: int) -> bytes:
    document = article(rng, number)
    document["body"] += f" {NOT_A_NUMBER}"
    return spelled(rng, document)


#: As `mutations.MUTATIONS`, of which these are a part.
DOCUMENT_MUTATIONS: Mapping[str, Callable[[Random, int], bytes | None]] = MappingProxyType(
    {
        "odd_number": _odd_number,
        "odd_string": _odd_string,
        "deep": _deep,
        "wrong_type": _wrong_type,
        "missing": _missing,
        "blank": _blank,
        "no_object": _no_object,
        "repeated_names": _repeated_names,
        "reserved_fields": _reserved_fields,
        "hard_text": _hard_text,
        "arbitrary_text": _arbitrary_text,
        "control_characters": _control_characters,
        "long_word": _long_word,
        "many_members": _many_members,
        "odd_names": _odd_names,
        "not_a_number": _not_a_number,
    }
)
