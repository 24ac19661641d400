"""Models that cannot be packed: an article has the same answer in any company, or they are refused.

Each is tried at its start. All are tiny and random, of transformers' own classes.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from consumer.contracts.errors import ModelError
from consumer.tagging.engine.engine import PaddedEngine, padded_logits
from consumer.tagging.engine.padded_company import find_company
from consumer.tagging.engine.window_company import Company, group
from consumer.tagging.model.processor import Processor
from consumer.tagging.tagger import Tagger, load_tagger
from tests.support.models.compared_answers import alike_alone
from tests.support.models.tiny_families import CONFIGURATIONS, folder_of, loaded
from tests.support.models.tiny_models import SENTENCES, article, tag


def tagger_of(family: str, dtype: str = "float32", **changes: Any) -> Tagger:
    return load_tagger(
        model=str(folder_of(family, **changes)),
        revision="",
        device="cpu",
        dtype=dtype,
        threads=1,
        aggregation="word",
        window_overlap_tokens=16,
        batch_tokens=1_024,
    )


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_an_article_has_the_same_answer_alone_and_beside_longer_ones(family: str) -> None:
    tagger = tagger_of(family)
    texts = [*SENTENCES, " ".join(SENTENCES), "Marta Lindqvist of Nordbank", "Lisbon"]
    assert alike_alone(tagger, texts, 1e-5) > 20


@pytest.mark.parametrize(
    ("family", "company"),
    [
        ("ConvBert", Company.EQUAL),
        ("FNet", Company.EQUAL),
        ("Funnel", Company.EQUAL),
        ("MobileBert", Company.EQUAL),
        ("SqueezeBert", Company.ANY),
        ("XLNet", Company.ANY),
    ],
)
def test_company_is_found_out_by_trying(family: str, company: Company) -> None:
    assert find_company(loaded(family)) is company


def test_one_length_at_a_time_has_no_padding(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tagger = tagger_of("FNet")
    assert "float32, windows of one length at a time" in caplog.text
    articles = [article(number, text) for number, text in enumerate(SENTENCES)]
    result = tag(tagger, articles)
    assert result.computed_tokens == result.tokens
    assert tagger.info.answers == "rounded"


def test_windows_run_together_by_their_company() -> None:
    windows = [np.zeros(length, np.int32) for length in (3, 5, 3, 4, 5)]
    assert group(windows, Company.ANY) == [[0, 1, 2, 3, 4]]
    assert group(windows, Company.EQUAL) == [[0, 2], [1, 4], [3]]
    assert group(windows, Company.NONE) == [[0], [1], [2], [3], [4]]
    assert group(windows, Company.ANY, (3, 4)) == [[0, 2], [1, 4], [3]]
    assert group(windows, Company.ANY, (3,)) == [[0, 2], [1, 3, 4]]


class Dependent(torch.nn.Module):
    """A network whose answer depends on how many windows there are."""

    def __init__(self, own: Any, fault: str) -> None:
        super().__init__()
        self._own, self._fault, self._calls = own, fault, 0
        self.dtype, self.config = own.dtype, own.config
        self.get_input_embeddings = own.get_input_embeddings

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        answer = self._own(input_ids=input_ids, attention_mask=attention_mask)
        self._calls += 1
        answer.logits *= len(input_ids) if self._fault == "rows" else self._calls
        return answer


def test_windows_run_alone_where_any_company_matters() -> None:
    model = loaded("SqueezeBert")
    model = replace(model, network=Dependent(model.network, "rows"))
    assert find_company(model) is Company.NONE
    engine = PaddedEngine(model, with_probabilities=True, company=Company.NONE)
    windows = [np.arange(5, 5 + length, dtype=np.int32) for length in (4, 4, 9)]
    with torch.inference_mode():
        expected = torch.cat([padded_logits(model, [window]) for window in windows]).softmax(-1)
    found = engine.run(windows)
    assert found.probabilities is not None
    assert np.allclose(found.probabilities, expected, atol=1e-6)
    assert not engine.pads


def test_a_model_that_answers_otherwise_each_time_is_refused() -> None:
    model = loaded("SqueezeBert")
    with pytest.raises(ModelError, match="gives the same text another answer each time"):
        find_company(replace(model, network=Dependent(model.network, "calls")))


def test_a_model_of_inputs_of_one_length_is_refused_in_a_sentence() -> None:
    """A Nyströmformer whose landmarks are fewer than its segments takes just one length."""
    with pytest.raises(
        ModelError, match=r"it does not run on a text of 23 tokens alone \(.*\); choose a model"
    ):
        tagger_of("Nystromformer", num_landmarks=8)


def test_memory_that_runs_out_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(transformers.SqueezeBertForTokenClassification, "forward", full)
    with pytest.raises(ModelError, match="the device has no memory for it"):
        tagger_of("SqueezeBert")


@pytest.mark.parametrize("family", ["FNet", "XLNet"])
def test_a_precision_that_a_model_does_not_run_in_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, family: str
) -> None:
    """FNet's transform has no bfloat16 on a CPU, and of XLNet transformers leaves some weights in
    float32. `auto` is then what it runs in."""
    with pytest.raises(ModelError, match=r"does not run in bfloat16 \(.*\); use --dtype float32"):
        tagger_of(family, dtype="bfloat16")
    monkeypatch.setattr(
        "consumer.tagging.select.this_processor",
        lambda: Processor(has_bfloat16=True, has_int8=False, has_amx=False),
    )
    tagger = tagger_of(family, dtype="auto")
    assert tagger.info.dtype == "float32"
    assert "does not run in bfloat16" in caplog.text
