"""Names between characters that are there to lead astray: found, and at the right place."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import orjson
import pytest

from consumer.codec.article_codec import Codec
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, TaggedArticle
from consumer.tagging.tagger import Tagger, load_tagger
from tests.support.fakes import raw
from tests.support.models.tiny_models import tag

NAMES = ("Angela Merkel", "Volkswagen", "Chattanooga")

#: What stands before, between and behind the names.
BETWEEN = {
    "bidirectional": "\u202e\u2066\u200f\u061c\u2069\u202c",
    "zero-width": "\u200b\u200c\u2060\ufeff\u00ad",
    "ten thousand marks": "e" + "\u0301\u20dd" * 5_000,
    "controls": "\x00\x01\x1b[31m\x7f\x9b\x85",
    "private": "\ue000\U000f0000\U0010fffd",
    "unassigned and no characters": "\u0378\ufdd0\uffff\U0010ffff",
    "tags and variations": "\U0001f3f4\U000e0067\U000e007f\ufe0f\U000e0100",
    "lines": "\r\n\u2028\u2029\x0b\x0c",
    "composed": unicodedata.normalize("NFC", "Zoe\u0308 ré ｶﾞ 한"),
    "decomposed": unicodedata.normalize("NFD", "Zoë ré ガ 한"),
    "beyond the first plane": "👩‍🍳🇸🇳👋🏽𝕬𝖓𝖓𝖆",
}


@cache
def tagger() -> Tagger:
    return load_tagger(
        model="bundled",
        revision="",
        device="cpu",
        dtype="float32",
        threads=1,
        aggregation="word",
        window_overlap_tokens=64,
        batch_tokens=4_096,
    )


def through(message: bytes) -> tuple[str, list[dict[str, Any]]]:
    """The text and the entities of a message that went in and came out as the worker does it."""
    codec = Codec(("body",))
    article = codec.decode(raw(0, message))
    assert isinstance(article, Article)
    (answer,) = tag(tagger(), [article]).answers
    assert isinstance(answer, tuple), answer
    written = codec.encode(TaggedArticle(article, answer, 1, tagger().info), 0)
    document = orjson.loads(written)
    return document["body"], document["entities"]


@pytest.mark.parametrize("kind", BETWEEN)
@pytest.mark.parametrize("escaped", [False, True], ids=["as it is", "escaped"])
def test_names_are_found_where_they_stand(kind: str, escaped: bool) -> None:
    odd = BETWEEN[kind]
    text = f"{odd} {NAMES[0]} visited the {NAMES[1]} plant {odd} in {NAMES[2]}. {odd}"
    spelled = orjson.dumps(text).decode()
    if escaped:
        units = text.encode("utf-16-be")
        spelled = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
        spelled = f'"{spelled}"'
    body, entities = through(b'{"id": "1", "body": %s}' % spelled.encode())
    assert body == text
    for entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    for name in NAMES:
        start = text.index(name)
        assert any(
            entity["start"] <= start and entity["end"] >= start + len(name) for entity in entities
        ), (name, entities)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d"])
def test_half_a_character_is_refused_by_its_place(half: str) -> None:
    with pytest.raises(RejectedMessage) as refused:
        through(b'{"id": "1", "body": "Oslo %s"}' % half.encode())
    assert refused.value.code == "invalid_json"
