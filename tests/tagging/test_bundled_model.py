"""The model that ships with the package: its size, its form, and the same answers elsewhere."""

from __future__ import annotations

import json
import random
import warnings
from functools import cache, wraps
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForTokenClassification, AutoTokenizer

from consumer.resources import sample_lines
from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.model.folder import BUNDLED_FOLDER
from consumer.tagging.tagger import Tagger, load_tagger
from consumer.training.case_marks import CaseMark, mark_ids
from tests.support.models.tiny_models import article, tag

#: It travels with the package and in the repository.
MOST_WEIGHTS = 23_000_000
MOST_BYTES = 46_000_000

MAX_TOKENS = 256


@cache
def texts() -> list[str]:
    """Titles and bodies of the samples, and what is hard in them for case and offsets."""
    found = [
        "ZOLTAN KOVACS LEAVES SLACK FOR NORDBANK",
        "Łukasz Nowak, of eBay and McDonald's, met Ngọc Ánh in Kyiv 🎉.",
        "José\u0301 O\u2019Neill\u00a0said:\u200bIKEA's  U.S.-led\tplan\nfails",
        "",
        "  ",
    ]
    for line in sample_lines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        found += [text for name in ("title", "body") if isinstance(text := document.get(name), str)]
    return found


def tagger(aggregation: str, dtype: str = "float32", threads: int = 1) -> Tagger:
    return load_tagger(
        model="bundled",
        revision="",
        device="cpu",
        dtype=dtype,
        threads=threads,
        aggregation=aggregation,
        window_overlap_tokens=64,
        batch_tokens=4_096,
    )


@cache
def stock_pipeline() -> Any:
    """The stock pipeline in float32, whose network answers each text once: what it says of a text
    does not depend on the strategy, which is given with the text."""
    pipeline = transformers.pipeline(
        "token-classification", model=str(BUNDLED_FOLDER), device="cpu", dtype=torch.float32
    )
    forward, answers = pipeline.model.forward, {}

    @wraps(forward)
    def answer(**inputs: torch.Tensor) -> Any:
        windows = tuple(inputs["input_ids"].flatten().tolist())
        if windows not in answers:
            answers[windows] = forward(**inputs)
        return answers[windows]

    pipeline.model.forward = answer
    return pipeline


def test_it_is_small_and_plain() -> None:
    weights = load_file(BUNDLED_FOLDER / "model.safetensors")
    assert sum(tensor.numel() for tensor in weights.values()) <= MOST_WEIGHTS
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert (BUNDLED_FOLDER / "model.safetensors").stat().st_size <= MOST_BYTES
    on_disk = json.loads((BUNDLED_FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    assert on_disk["truncation"] is None
    assert on_disk["padding"] is None
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_FOLDER)
    assert tokenizer.model_max_length == MAX_TOKENS
    assert mark_ids(tokenizer).keys() == set(CaseMark)
    assert tokenizer.decode(tokenizer("Kyiv, IKEA")["input_ids"], skip_special_tokens=True) == (
        "kyiv, ikea"
    )
    model = AutoModelForTokenClassification.from_pretrained(BUNDLED_FOLDER)
    assert {label.lstrip("BI-") for label in model.config.id2label.values()} == {
        *("O", "LOC", "MISC", "ORG", "PER")
    }


@pytest.mark.parametrize(
    "strategy",
    [
        *("none", "simple", "average", "max"),
        pytest.param("first", marks=pytest.mark.instructions),
    ],
)
def test_the_stock_pipeline_gives_the_same_entities(strategy: str) -> None:
    torch.set_num_threads(1)
    pipeline = stock_pipeline()
    within = [text for text in texts() if len(pipeline.tokenizer(text).input_ids) <= MAX_TOKENS]
    assert len(within) > 100
    answers = tag(tagger(strategy), [article(i, text) for i, text in enumerate(within)]).answers
    compared = 0
    for text, answer in zip(within, answers, strict=True):
        assert isinstance(answer, tuple)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pipeline(text, aggregation_strategy=strategy) if text.strip() else []
        expected = [
            (
                one["start"],
                one["end"],
                (one.get("entity_group") or one["entity"]).removeprefix("B-").removeprefix("I-"),
            )
            for one in theirs
        ]
        assert [(e.start, e.end, e.type) for e in answer] == expected, text
        assert [e.score for e in answer] == pytest.approx(
            [float(one["score"]) for one in theirs], abs=1e-4
        )
        compared += len(expected)
    assert compared > 400


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_an_article_has_the_same_entities_and_scores_in_any_company(dtype: str) -> None:
    """To the last bit, in what `auto` is on this machine too."""
    own = tagger("word", dtype, threads=2)
    articles = [article(number, text) for number, text in enumerate(texts()[:60])]
    together = tag(own, articles).answers
    shuffled = random.Random(3).sample(articles, len(articles))
    apart = {one.id: tag(own, [one]).answers[0] for one in shuffled[:20]}
    in_sevens = {
        one.id: answer
        for start in range(0, len(shuffled), 7)
        for one, answer in zip(
            shuffled[start : start + 7],
            tag(own, shuffled[start : start + 7]).answers,
            strict=True,
        )
    }
    for one, answer in zip(articles, together, strict=True):
        assert in_sevens[one.id] == answer
        assert apart.get(one.id, answer) == answer
    assert sum(len(answer) for answer in together if isinstance(answer, tuple)) > 100


def test_auto_is_what_the_model_says_that_it_keeps_its_entities_in() -> None:
    processor = this_processor()
    fast = processor.has_int8 and processor.has_bfloat16 and not processor.has_amx
    plain = "int16" if processor.prefers_int16 else "float32"
    expected = "int8" if fast else "bfloat16" if processor.has_bfloat16 else plain
    assert tagger("word", "auto").info.dtype == expected


@pytest.mark.parametrize("word", ["A" * 50_000, "A1" * 25_000, "A" * 25_000 + "1" * 25_000 + "a"])
def test_no_word_is_too_long_for_its_expressions(word: str) -> None:
    """They mark capitals; on a word of five thousand the engine once gave up, and the worker."""
    on_disk = Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
    assert len(on_disk.encode(f"in {word}.", add_special_tokens=False)) >= 3
