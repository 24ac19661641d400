"""Our entities against those of transformers' own pipeline, and the faults that ours has not."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import normalizers
from transformers.pipelines.token_classification import AggregationStrategy

from consumer.contracts.messages import Entity
from tests.support.models.charsmap import precompiled_charsmap
from tests.support.models.hard_texts import hard_texts, without_controls
from tests.support.models.tiny_models import (
    FAMILIES,
    SENTENCES,
    article,
    entities_of,
    save_tiny_model,
    tag,
    tiny_folder,
    tiny_tagger,
)

STRATEGIES = ("none", "simple", "first", "average", "max")

#: Texts of each model; every model has others, so that a strategy sees six times as many.
TEXTS_A_MODEL = 400

#: Longest input of the tiny models here; every text is within it.
MAX_LENGTH = 512

Found = tuple[int, int, str, str, float]


class Peer:
    """transformers' pipeline on a tiny model.

    One forward pass serves all strategies, which only differ in what is made of it.
    """

    def __init__(self, folder: str) -> None:
        # More threads would wait for each other in models as small as these.
        torch.set_num_threads(1)
        self.pipeline = transformers.pipeline("token-classification", model=folder, device="cpu")

    def outputs(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """What the model says of each text, from passes of texts of one length, unpadded."""
        prepared = []
        for text in texts:
            (inputs,) = self.pipeline.preprocess(text, is_split_into_words=False)
            prepared.append(inputs)
        by_length: dict[int, list[int]] = defaultdict(list)
        for place, inputs in enumerate(prepared):
            by_length[inputs["input_ids"].shape[1]].append(place)
        outputs: list[dict[str, Any]] = [{}] * len(prepared)
        for places in by_length.values():
            names = ("input_ids", "attention_mask")
            rows = {name: torch.cat([prepared[p][name] for p in places]) for name in names}
            with torch.inference_mode():
                logits = self.pipeline.model(**rows).logits
            for place, row in zip(places, logits, strict=True):
                inputs = prepared[place]
                outputs[place] = {
                    "logits": row[None],
                    "special_tokens_mask": inputs["special_tokens_mask"],
                    "sentence": inputs["sentence"],
                    # Arrays: it asks for single numbers, which tensors give slowly.
                    "input_ids": inputs["input_ids"].numpy(),
                    "offset_mapping": inputs["offset_mapping"].numpy(),
                }
        return outputs

    def entities(self, output: dict[str, Any], strategy: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.pipeline.postprocess(
            [output], AggregationStrategy(strategy)
        )
        return found


@cache
def peer(family: str) -> Peer:
    return Peer(str(tiny_folder(family, MAX_LENGTH)))


def texts_of(family: str) -> list[str]:
    """The texts of a model, some of them long."""
    texts = hard_texts(TEXTS_A_MODEL, seed=list(FAMILIES).index(family))
    return texts + [" ".join(texts[place : place + 10]) for place in range(0, 50, 10)]


@cache
def outputs_of(family: str) -> list[dict[str, Any]]:
    # Theirs reads control characters; what becomes of that is a fault of its own, below.
    return peer(family).outputs([without_controls(text) for text in texts_of(family)])


#: For tests that change nothing of a tagger.
shared_tagger = cache(tiny_tagger)


def stripped(text: str, found: dict[str, Any]) -> Found:
    """Theirs in our form, without the white space and the control characters at its edges."""
    surface = without_controls(text[found["start"] : found["end"]])
    start = found["start"] + len(surface) - len(surface.lstrip())
    end = start + len(surface.strip())
    label = found["entity"] if "entity" in found else found["entity_group"]
    kind = label[2:] if label[:2] in ("B-", "I-") else label
    return start, end, kind, text[start:end], float(found["score"])


def ours(entities: Sequence[Entity]) -> list[Found]:
    return [(e.start, e.end, e.type, e.text, e.score) for e in entities]


def same(left: Sequence[Found], right: Sequence[Found]) -> bool:
    return [found[:4] for found in left] == [found[:4] for found in right] and np.allclose(
        [found[4] for found in left], [found[4] for found in right], atol=1e-4
    )


def test_there_are_enough_texts_for_each_strategy() -> None:
    assert len({text for family in FAMILIES for text in texts_of(family)}) > 2_000


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_entities_are_those_of_the_pipeline(family: str, strategy: str) -> None:
    texts, outputs = texts_of(family), outputs_of(family)
    lengths = [len(output["input_ids"][0]) for output in outputs]
    assert 100 < max(lengths) <= MAX_LENGTH
    tagger = shared_tagger(family, MAX_LENGTH, aggregation=strategy, batch_tokens=4_096)
    answers = tag(tagger, [article(i, text) for i, text in enumerate(texts)]).answers
    compared = 0
    for text, output, answer in zip(texts, outputs, answers, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = [stripped(text, found) for found in peer(family).entities(output, strategy)]
        assert isinstance(answer, tuple)
        assert all(entity.text == text[entity.start : entity.end] for entity in answer)
        # A span of theirs may be white space alone; none of ours is.
        assert same(ours(answer), [found for found in theirs if found[3]]), text
        compared += len(answer)
    assert compared > TEXTS_A_MODEL * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_pipeline_called_plainly_says_the_same_as_the_peer(strategy: str) -> None:
    plain = transformers.pipeline(
        "token-classification",
        model=str(tiny_folder("roberta", MAX_LENGTH)),
        aggregation_strategy=strategy,
        device="cpu",
    )
    texts, outputs = texts_of("roberta"), outputs_of("roberta")
    for text, output in zip(texts[:60], outputs[:60], strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [stripped(text, found) for found in plain(without_controls(text))]
            found = [stripped(text, f) for f in peer("roberta").entities(output, strategy)]
        assert same(found, expected), text


# --- Faults of the pipeline that ours does not have. Each test shows both.


def theirs_and_ours(
    family: str, text: str, strategy: str = "simple", aggregation: str | None = None
) -> tuple[list[dict[str, Any]], tuple[Entity, ...]]:
    (output,) = peer(family).outputs([text])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer(family).entities(output, strategy)
    tagger = shared_tagger(family, MAX_LENGTH, aggregation=aggregation or strategy)
    return theirs, entities_of(tagger, text)


def test_fault_the_word_is_not_the_text_of_its_span() -> None:
    """transformers #18738, #22337: the surface is put together again from tokens."""
    text = "Zürich met Jean-Pierre Okafor, U.S. (3.5%)"
    theirs, entities = theirs_and_ours("bert-uncased", text)
    assert any(found["word"] != text[found["start"] : found["end"]] for found in theirs)
    assert entities
    assert all(entity.text == text[entity.start : entity.end] for entity in entities)


@pytest.mark.parametrize("strategy", ["simple", "none"])
def test_fault_a_word_is_split_where_its_tokens_disagree(strategy: str) -> None:
    """transformers #23322: `simple` cuts inside words; our `word` never does."""
    text = " ".join(SENTENCES[:4])

    def inside(places: Sequence[int]) -> list[int]:
        return [p for p in places if 0 < p < len(text) and text[p - 1 : p + 1].isalnum()]

    theirs, entities = theirs_and_ours("bert-cased", text, strategy, aggregation="word")
    assert inside([found["start"] for found in theirs])
    assert inside([found["end"] for found in theirs])
    assert len(entities) > 5
    assert not inside([place for entity in entities for place in (entity.start, entity.end)])


@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_fault_punctuation_sticks_to_words_of_tokenizers_without_word_marks(strategy: str) -> None:
    """transformers #27876: where no token says that it continues a word, theirs ends at a space.

    So `Kotor,Tokyo` is one word to it, and of one type. Our `word` knows words by the text.
    """
    text = "Kotor,Tokyo;Lisbon"
    _, under_their_name = theirs_and_ours("roberta", text, strategy)
    assert all(entity.text == text for entity in under_their_name)
    encoding = shared_tagger("roberta", MAX_LENGTH).encode([article(0, text)])[0]
    field = encoding.fields[0]
    assert field.starts[field.begins_unit].tolist() == [0, 5, 6, 11, 12]


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "deberta-v3"])
def test_fault_white_space_is_part_of_a_span(family: str) -> None:
    """transformers, documentation of the pipeline itself: `sentence[start:end]` is ' jean-...'."""
    seen = False
    for text in hard_texts(60, seed=99):
        theirs, entities = theirs_and_ours(family, text)
        surfaces = [text[found["start"] : found["end"]] for found in theirs]
        seen = seen or any(surface != surface.strip() for surface in surfaces)
        assert all(entity.text == entity.text.strip() != "" for entity in entities)
    assert seen


@pytest.mark.parametrize(
    ("family", "text"),
    [("bert-cased", "Marta [SEP] Okafor [MASK]"), ("roberta", "Marta </s> Okafor <mask>")],
)
def test_fault_the_letters_of_a_special_token_are_not_read(family: str, text: str) -> None:
    theirs, entities = theirs_and_ours(family, text, "none")
    special = text.index(text.split()[1])
    within = range(special + 1, special + len(text.split()[1]))
    assert not any(found["start"] in within for found in theirs)
    encoding = shared_tagger(family, MAX_LENGTH).encode([article(0, text)])[0]
    field = encoding.fields[0]
    assert any(start in within for start in field.starts.tolist())
    assert all(entity.text == text[entity.start : entity.end] for entity in entities)


def test_fault_text_past_the_limit_is_dropped() -> None:
    text = " ".join([*SENTENCES] * 12)
    theirs, entities = theirs_and_ours("bert-cased", text)
    assert max(found["end"] for found in theirs) < len(text) * 0.7
    assert max(entity.end for entity in entities) > len(text) * 0.95


def test_fault_with_a_stride_an_entity_is_lost_where_windows_overlap() -> None:
    """Of two that overlap the longer one stays, whatever stands beside it (`stride`)."""
    spans = [
        {"entity_group": "PER", "score": 0.9, "word": "", "start": 0, "end": 9},
        {"entity_group": "LOC", "score": 0.9, "word": "", "start": 5, "end": 20},
        {"entity_group": "ORG", "score": 0.9, "word": "", "start": 12, "end": 16},
    ]
    kept = peer("bert-cased").pipeline.aggregate_overlapping_entities(spans)
    assert [span["entity_group"] for span in kept] == ["LOC"]
    tagger = tiny_tagger("bert-cased", aggregation="simple", window_overlap_tokens=30)
    text = " ".join(SENTENCES)
    (encoding,) = tagger.encode([article(0, text)])
    field = encoding.fields[0]
    assert len(field.windows) > 3
    # Each token has its answer from one window, so nothing has to give way.
    owned = [place for row in field.windows for place in range(row[2], row[3])]
    assert owned == list(range(len(field.ids)))


def test_fault_a_lone_surrogate_ends_the_call() -> None:
    text = "Marta \ud83d Okafor"
    with pytest.raises((TypeError, UnicodeEncodeError)):
        peer("bert-cased").pipeline(text)
    entities = entities_of(tiny_tagger(aggregation="simple"), text)
    assert entities
    assert all(entity.text == text[entity.start : entity.end] for entity in entities)


def test_fault_control_characters_before_a_name_shift_its_offsets(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """SentencePiece's character map takes them away, and tokenizers forgets that they were first.

    Any two control characters in front, and every span stands two places before its text.
    """
    folder = save_tiny_model(tmp_path_factory.mktemp("charsmap"), "xlm-roberta")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = normalizers.Precompiled(precompiled_charsmap())
    tokenizer.save_pretrained(folder)
    plain, text = "Marta of Lisbon", "\x1f\x02Marta of Lisbon"
    theirs = Peer(str(folder))
    spans = []
    for one in (plain, text):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (output,) = theirs.outputs([one])
            found = theirs.entities(output, "none")
        spans.append([(entity["start"], entity["end"]) for entity in found])
    assert spans[0]
    assert spans[1] == spans[0]
    tagger = tiny_tagger(model=str(folder))
    entities = [entities_of(tagger, one) for one in (plain, text)]
    assert entities[0]
    assert [(e.text, e.start, e.end) for e in entities[1]] == [
        (e.text, e.start + 2, e.end + 2) for e in entities[0]
    ]


def test_fault_a_type_loses_what_stands_before_its_first_dash(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A bare label such as `work-of-art` is cut to `of-art` when its tokens are joined."""
    folder = save_tiny_model(tmp_path_factory.mktemp("bare"), labels=("O", "work-of-art", "PER"))
    theirs = Peer(str(folder))
    (output,) = theirs.outputs([SENTENCES[0]])
    assert {found["entity_group"] for found in theirs.entities(output, "simple")} >= {"of-art"}
    tagger = tiny_tagger(model=str(folder), aggregation="simple")
    assert {entity.type for entity in entities_of(tagger, SENTENCES[0])} >= {"work-of-art"}
