"""Answers of taggers compared: texts, precisions, and how far scores may lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from consumer.contracts.messages import Article, Entity
from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.tagger import Tagger
from tests.support.models.tiny_models import (
    PACKED_FAMILIES,
    SENTENCES,
    article,
    tag,
)

TEXTS = (*SENTENCES, " ".join(SENTENCES), SENTENCES[0], "Lisbon", " \n", "e\u0301 " * 40)


def articles_of(texts: Sequence[str]) -> list[Article]:
    return [article(number, text, text[::-1]) for number, text in enumerate(texts)]


#: The numeric modes, and how far the scores of one article may lie apart in them: below what a
#: message shows in float32, and the last place of a number near 1 in the halves.
MODES = {"float32": 1e-6, "int16": 1e-6, "bfloat16": 2**-8, "float16": 2**-10, "int8": 2**-8}


def skip_unless_it_runs(family: str, dtype: str) -> None:
    if dtype == "int8" and not this_processor().has_int8:
        pytest.skip("needs a processor with AVX-512 VNNI")
    if dtype == "int16" and not this_processor().has_int16:
        pytest.skip("needs AVX2 and a C compiler at installation")
    if dtype in ("int8", "int16") and family not in PACKED_FAMILIES:
        pytest.skip(f"{dtype} is for models whose attention can be packed")


def same(found: object, expected: object, apart: float = 1e-5) -> bool:
    """Whether two answers hold the same entities; scores may differ by rounding."""
    assert isinstance(found, tuple)
    assert isinstance(expected, tuple)
    return [without_score(e) for e in found] == [without_score(e) for e in expected] and (
        np.allclose([e.score for e in found], [e.score for e in expected], rtol=0, atol=apart)
    )


def without_score(entity: Entity) -> tuple[object, ...]:
    return (entity.field, entity.type, entity.text, entity.start, entity.end)


def alike_alone(tagger: Tagger, texts: Sequence[str], apart: float) -> int:
    """How many entities articles of these texts have, which are the same together and alone but for
    scores so far apart."""
    articles = [article(number, text) for number, text in enumerate(texts)]
    together = tag(tagger, articles).answers
    found = 0
    for one, answer in zip(articles, together, strict=True):
        (alone,) = tag(tagger, [one]).answers
        assert isinstance(alone, tuple)
        assert isinstance(answer, tuple)
        assert [(e.type, e.start, e.end) for e in alone] == [
            (e.type, e.start, e.end) for e in answer
        ]
        assert [e.score for e in alone] == pytest.approx([e.score for e in answer], abs=apart)
        found += len(alone)
    return found
