"""The tagger on tiny models: the same entities alone and in any company, whatever goes wrong."""

from __future__ import annotations

import itertools
import random
import resource
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.contracts.errors import SettingsError
from consumer.contracts.messages import PreparedArticle
from consumer.tagging.engine.engine import Answer, PackedEngine, PaddedEngine
from consumer.tagging.engine.forward import Forward
from consumer.tagging.engine.packed_attention import PACKED, can_pack
from consumer.tagging.select import load_model
from consumer.tagging.tagger import Tagger, TaggingOptions
from tests.support.models.compared_answers import (
    MODES,
    TEXTS,
    articles_of,
    same,
    skip_unless_it_runs,
)
from tests.support.models.hard_texts import hard_texts
from tests.support.models.tiny_models import (
    FAMILIES,
    PACKED_FAMILIES,
    SENTENCES,
    article,
    entities_of,
    save_tiny_model,
    tag,
    tiny_folder,
    tiny_tagger,
)

#: For tests that ask much of a tagger and change nothing of it.
shared_tagger = cache(tiny_tagger)


#: Families that are tried again under lesser instruction sets: one that is packed, one that is not.
REPEATED = ("bert-cased", "deberta-v3")


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_is_packed_where_it_can_be(family: str) -> None:
    engine = tiny_tagger(family)._forward._engine
    assert isinstance(engine, PackedEngine if family in PACKED_FAMILIES else PaddedEngine)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_are_those_of_the_model_alone(family: str) -> None:
    """Probabilities against plain calls of transformers' model, one text at a time."""
    tagger = tiny_tagger(family, max_length=512, aggregation="none")
    folder = tiny_folder(family, 512)
    network = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    answers = tag(tagger, [article(i, text) for i, text in enumerate(SENTENCES)]).answers
    for text, answer in zip(SENTENCES, answers, strict=True):
        with torch.inference_mode():
            logits = network(**tokenizer(text, return_tensors="pt")).logits[0, 1:-1]
        probabilities, labels = logits.softmax(-1).max(-1)
        named = [float(p) for p, i in zip(probabilities, labels, strict=True) if i > 0]
        assert isinstance(answer, tuple)
        assert len(named) > 3
        # A token of white space alone gives no entity.
        scores = [entity.score for entity in answer]
        assert all(np.isclose(score, named, atol=1e-5).any() for score in scores)
        assert len(named) >= len(scores) >= len(named) * 0.6


@pytest.mark.parametrize("dtype", MODES)
@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=pytest.mark.instructions) if family in REPEATED else family
        for family in FAMILIES
    ],
)
def test_an_article_does_not_depend_on_its_company(family: str, dtype: str) -> None:
    skip_unless_it_runs(family, dtype)
    tagger = tiny_tagger(family, dtype=dtype)
    articles = articles_of(TEXTS)
    alone = {item.id: tag(tagger, [item]).answers[0] for item in articles}
    assert sum(len(answer) for answer in alone.values() if isinstance(answer, tuple)) > 100
    draw = random.Random(2)
    for batch_tokens in (1, 100, 100_000):
        other = tiny_tagger(family, dtype=dtype, batch_tokens=batch_tokens)
        draw.shuffle(articles)
        company = [*articles, *draw.choices(articles, k=3)]
        result = tag(other, company)
        for item, answer in zip(company, result.answers, strict=True):
            assert same(answer, alone[item.id], MODES[dtype]), (item.id, batch_tokens)
        if isinstance(other._forward._engine, PackedEngine) or batch_tokens == 1:
            assert result.computed_tokens == result.tokens
        else:
            assert result.computed_tokens >= result.tokens


def test_tokens_are_counted_with_padding_where_there_is_some() -> None:
    tagger = tiny_tagger("deberta-v3")
    articles = [article(0, "Lisbon"), article(1, SENTENCES[0])]
    encodings = tagger.encode(articles)
    result = tag(tagger, articles)
    assert result.tokens == sum(encoding.tokens for encoding in encodings)
    assert result.computed_tokens == 2 * max(encoding.tokens for encoding in encodings)


def test_windows_of_a_long_text_give_words_their_best_context() -> None:
    """Each window on its own, as transformers sees it, gives the words that it owns."""
    text = " ".join(random.Random(1).choices(" ".join(SENTENCES).split(), k=400))
    tagger = tiny_tagger()
    (encoding,) = tagger.encode([article(0, text)])
    network = transformers.AutoModelForTokenClassification.from_pretrained(tiny_folder()).eval()
    field = encoding.fields[0]
    assert len(field.windows) > 10
    expected = np.zeros(len(field.ids), dtype=int)
    for start, end, own_start, own_end in field.windows:
        ids = torch.tensor([[2, *field.ids[start:end], 3]])
        with torch.inference_mode():
            labels = network(input_ids=ids).logits[0, 1:-1].argmax(-1).numpy()
        expected[own_start:own_end] = labels[own_start - start : own_end - start]
    result = tagger._forward.run([encoding], lambda: None)
    assert result.rejected == {}
    assert np.array_equal(result.predictions.label_ids, expected)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec=None) | st.sampled_from("ab .-'é\u0301京😀\ud800\u200d"))
        | st.sampled_from(TEXTS),
        max_size=4,
    )
)
def test_the_surface_is_the_slice_of_the_field(family: str, texts: list[str]) -> None:
    tagger = shared_tagger(family)
    articles = [article(i, text, text * 3) for i, text in enumerate(texts)]
    for item, answer in zip(articles, tag(tagger, articles).answers, strict=True):
        assert isinstance(answer, tuple)
        fields = {field.name: field.text for field in item.fields}
        order = list(fields)
        for entity in answer:
            assert fields[entity.field][entity.start : entity.end] == entity.text
            assert entity.text == entity.text.strip() != ""
            assert 0.0 <= entity.score <= 1.0
        places = [(order.index(entity.field), entity.start, entity.end) for entity in answer]
        assert places == sorted(places)
        for before, after in itertools.pairwise(answer):
            assert before.field != after.field or before.end <= after.start


@pytest.mark.parametrize("family", FAMILIES)
def test_the_surface_is_the_slice_of_the_field_in_hard_texts_cut_into_windows(family: str) -> None:
    texts = hard_texts(300, seed=5)
    texts += [" ".join(texts[place : place + 10]) for place in range(0, 100, 10)]
    answers = tag(shared_tagger(family), [article(i, t) for i, t in enumerate(texts)]).answers
    found = 0
    for text, answer in zip(texts, answers, strict=True):
        assert isinstance(answer, tuple)
        found += len(answer)
        for entity in answer:
            assert text[entity.start : entity.end] == entity.text == entity.text.strip() != ""
    assert found > 500


class GivenEngine:
    """An engine that gives the words of one text the labels that it is told."""

    pads = skips_unread = is_exact = False

    def __init__(self, names: Sequence[str], labels: Sequence[str]) -> None:
        self._ids = [names.index(label) for label in labels]
        self.begins: np.ndarray = np.zeros(0, dtype=np.bool_)

    def run(self, windows: Sequence[np.ndarray], _is_read: np.ndarray | None = None) -> Answer:
        (window,) = windows
        words = np.cumsum(self.begins) - 1
        label_ids = np.zeros(len(window), dtype=np.int16)
        label_ids[1:-1] = np.array(self._ids, dtype=np.int16)[words]
        return Answer(label_ids, np.ones(len(window), dtype=np.float32), None)


@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (
            ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
            "B-PER I-PER B-PER O B-LOC B-LOC I-LOC",
            ["PER Anna Lund", "PER Ivo", "LOC Oslo", "LOC New Bergen"],
        ),
        # IOB1: I- begins an entity, B- only one that stands right behind another of its type.
        (
            ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
            "I-PER I-PER B-PER O I-LOC B-LOC I-LOC",
            ["PER Anna Lund", "PER Ivo", "LOC Oslo", "LOC New Bergen"],
        ),
        (
            ("O", "I-PER", "I-LOC"),
            "I-PER I-PER I-LOC O I-LOC O I-PER",
            ["PER Anna Lund", "LOC Ivo", "LOC Oslo", "PER Bergen"],
        ),
        (("O", "PER", "LOC"), "PER PER LOC O LOC O O", ["PER Anna Lund", "LOC Ivo", "LOC Oslo"]),
    ],
    ids=["IOB2", "IOB1", "I- alone", "bare"],
)
def test_neighbours_stay_apart_and_models_of_every_scheme_are_read(
    tmp_path: Path, names: tuple[str, ...], labels: str, expected: list[str]
) -> None:
    folder = save_tiny_model(tmp_path / "model", labels=names)
    model = load_model(str(folder), "", "cpu", "float32", 1)
    engine = GivenEngine(names, labels.split())
    tagger = Tagger(model, TaggingOptions(), engine)
    item = article(0, "Anna Lund Ivo to Oslo New Bergen")
    (encoding,) = tagger.encode([item])
    engine.begins = encoding.fields[0].begins_unit
    (answer,) = tag(tagger, [item]).answers
    assert isinstance(answer, tuple)
    assert [f"{entity.type} {entity.text}" for entity in answer] == expected


@pytest.mark.parametrize("window_tokens", [20, 64, 9_999, 0])
def test_the_longest_window_is_the_smaller_of_the_setting_and_the_model(window_tokens: int) -> None:
    tagger = tiny_tagger(window_tokens=window_tokens)
    (encoding,) = tagger.encode([article(0, " ".join(SENTENCES))])
    windows = encoding.fields[0].windows
    # Two special tokens; words may keep a window below its limit.
    limit = min(window_tokens or 64, 64) - 2
    assert limit - 8 <= (windows[:, 1] - windows[:, 0]).max() <= limit


def test_a_window_without_room_for_text_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"window_tokens: 2 leaves no room .* limit of 64"):
        tiny_tagger(window_tokens=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_entity_never_begins_or_ends_inside_a_word(family: str) -> None:
    text = " ".join(SENTENCES[:4])
    found = entities_of(tiny_tagger(family), text)
    assert len(found) > 5
    for entity in found:
        inside_start = entity.start and text[entity.start - 1 : entity.start + 1].isalnum()
        inside_end = text[entity.end - 1 : entity.end + 1].isalnum() and entity.end < len(text)
        assert not inside_start
        assert not inside_end


def test_progress_is_told_after_every_pass() -> None:
    tagger = tiny_tagger(batch_tokens=64)
    (encoding,) = tagger.encode([article(0, " ".join(SENTENCES))])
    told: list[int] = []
    item = PreparedArticle(article(0, " ".join(SENTENCES)), encoding)
    tagger.tag([item], lambda: told.append(1))
    assert len(told) == len(encoding.fields[0].windows) > 2


def test_no_articles_and_articles_of_white_space_need_no_pass() -> None:
    tagger = tiny_tagger()
    assert tag(tagger, []).answers == ()
    result = tag(tagger, [article(0, " \n")])
    assert (result.answers, result.tokens, result.computed_tokens) == (((),), 0, 0)


def test_an_encoding_of_something_else_is_refused() -> None:
    class Other:
        tokens = 3

    with pytest.raises(TypeError, match="encoded by Other"):
        tiny_tagger().tag([PreparedArticle(article(0, "Lisbon"), Other())], lambda: None)


@pytest.mark.parametrize("family", ["bert-cased", "roberta", "xlm-roberta"])
def test_a_word_of_100_000_letters(family: str) -> None:
    draw = random.Random(4)
    word = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=100_000))
    text = f"Marta Lindqvist {word} in Lisbon."
    tagger = tiny_tagger(family, max_length=512)
    result = tag(tagger, [article(0, text)])
    (answer,) = result.answers
    assert isinstance(answer, tuple)
    for entity in answer:
        assert text[entity.start : entity.end] == entity.text
        assert entity.start <= 16 or entity.start >= 16 + len(word)
        assert entity.end <= 16 or entity.end >= 16 + len(word)
    assert any(entity.start > len(word) for entity in answer)


def test_a_long_text_is_tagged_in_bounded_memory() -> None:
    tagger = tiny_tagger(max_length=512, batch_tokens=4_096)
    tag(tagger, [article(0, " ".join(SENTENCES) * 50)])
    text = (f"{SENTENCES[0]} {SENTENCES[1]} " * 20_000)[:2_000_000]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (answer,) = tag(tagger, [article(0, text)]).answers
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert isinstance(answer, tuple)
    assert len(text) == 2_000_000
    assert answer[-1].end > 1_999_000
    # Python objects for each token would need several hundred bytes for each of two million.
    entity_mib = len(answer) * 300 / 2**20
    assert grown_mib < 250 + entity_mib


def test_a_model_is_left_as_it_was_by_the_check_for_packing() -> None:
    model = load_model(str(tiny_folder()), "", "cpu", "float32", 1)
    plain = model.network.config._attn_implementation
    assert can_pack(model)
    assert model.network.config._attn_implementation == plain != PACKED


def test_a_model_that_mixes_windows_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the check is for: windows that see each other give other logits."""
    model = load_model(str(tiny_folder()), "", "cpu", "float32", 1)

    def one_window(network: Any, ids: Any, lengths: Sequence[int], first_position: int) -> Any:
        positions = torch.cat([torch.arange(length) for length in lengths]) + first_position
        return network(
            input_ids=ids[None], position_ids=positions[None], window_lengths=(sum(lengths),)
        ).logits[0]

    monkeypatch.setattr("consumer.tagging.engine.packed_attention.packed_logits", one_window)
    assert not can_pack(model)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["bert-cased", "deberta-v3"])
def test_half_precision_gives_nearly_the_same_probabilities(family: str, dtype: str) -> None:
    exact = tiny_tagger(family, aggregation="average")
    rough = tiny_tagger(family, aggregation="average", dtype=dtype)
    assert rough.info.dtype == dtype
    encodings = exact.encode([article(0, SENTENCES[0])])
    assert isinstance(exact._forward, Forward)
    expected, found = (
        tagger._forward.run(encodings, lambda: None).predictions.probabilities
        for tagger in (exact, rough)
    )
    assert expected is not None
    assert found is not None
    assert np.abs(expected - found).max() < 0.15


def test_importing_the_room_loads_no_model_library() -> None:
    import subprocess
    import sys

    code = "import sys, consumer.tagging; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"
