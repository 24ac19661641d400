"""The GPU benchmark, as far as it runs without a GPU: what it counts, and when it stops."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from consumer.bench.deadline import Deadline
from consumer.bench.gpu import ground as gpu_ground
from consumer.bench.gpu import model as gpu_model
from consumer.bench.gpu import rates as gpu_rates
from consumer.bench.model.random_model import save_random_model
from consumer.tagging.select import load_model
from tests.support.engines.host_device import load_tiny, tagger_on, varlen_engine
from tests.support.models.tiny_models import SENTENCES, tiny_folder


def test_without_a_device_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    target = tmp_path / "result.json"
    assert gpu_model.main(["--json", str(target)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        "consumer.bench.gpu.model: torch finds no CUDA device here\n",
    )
    assert not target.exists()


def test_the_texts_have_the_lengths_of_news() -> None:
    bodies = gpu_ground.texts(400)
    words = [len(body.split()) for body in bodies]
    assert bodies == gpu_ground.texts(400)
    assert 110 < sum(words) / len(words) < 160
    assert 20 < min(words) < 100
    assert max(words) == 185


def test_the_arithmetic_of_bert_base() -> None:
    config = SimpleNamespace(hidden_size=768, num_hidden_layers=12, intermediate_size=3072)
    arithmetic = gpu_ground.arithmetic(config)
    # 84.9 million weights in the layers' matrices, a product and a sum each.
    assert arithmetic.per_token == 2 * 84_934_656
    one = [np.zeros(512, dtype=np.int32)]
    assert arithmetic.operations(one) == 512 * 2 * 84_934_656 + 4 * 12 * 768 * 512**2
    assert arithmetic.operations(one * 3) == 3 * arithmetic.operations(one)


def test_windows_are_those_of_the_tagger() -> None:
    model = load_tiny()
    windows = gpu_ground.windows(model, [*SENTENCES, " ".join(SENTENCES)])
    assert max(map(len, windows)) == 64
    assert all(window[0] == 2 and window[-1] == 3 for window in windows)
    tagger = tagger_on(varlen_engine(model), model)
    encodings = tagger.encode(gpu_ground.articles(SENTENCES))
    assert [len(window) for window in windows[:9]] == [encoding.tokens for encoding in encodings]


def test_passes_hold_all_windows_in_order_and_no_more_than_fit() -> None:
    windows = [np.full(length, length, dtype=np.int32) for length in (5, 5, 1, 11, 9, 1)]
    groups = gpu_ground.passes(windows, 10)
    assert [[len(window) for window in group] for group in groups] == [[5, 5], [1], [11], [9, 1]]


def test_a_rate_counts_the_tokens_of_the_windows_alone() -> None:
    model = load_tiny()
    windows = [np.full(30, 7, dtype=np.int32)] * 12
    clock = itertools.count(step=4.0).__next__
    engine = varlen_engine(model)
    # Begins at 0, looks at 4 and 8, stops at 12 and is read at 16.
    rate = gpu_rates.engine_rate(engine, gpu_ground.passes(windows, 100), 10.0, clock)
    assert rate == 2 * 12 * 30 / 16.0
    assert len(engine.device.shapes) == 4 * 5  # type: ignore[attr-defined]


def test_the_rates_of_a_tagger_and_of_the_pipeline_are_there() -> None:
    model = load_tiny()
    tagger = tagger_on(varlen_engine(model), model)
    clock = itertools.count().__next__
    tagging, whole = gpu_rates.tagger_rate(tagger, gpu_ground.articles(SENTENCES), 4, 5.0, clock)
    assert tagging == 2 * whole > 0
    rates = gpu_rates.pipeline_rate(
        tiny_folder(), SENTENCES[:3], 90, (1, 2), 2.5, itertools.count().__next__, "cpu"
    )
    # A look at the clock after each of three rounds, and one to end.
    assert rates == {1: 3 * 90 / 4.0, 2: 3 * 90 / 4.0}


def test_bert_base_is_made_without_a_network(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 8}
    save_random_model(tmp_path, num_attention_heads=2, **small)
    model = load_model(str(tmp_path), "", "cpu", "float32", 1)
    assert model.labels.types == ("LOC", "MISC", "ORG", "PER")
    # BERT's window, though the tokenizer is the bundled model's.
    assert model.max_tokens == 512
    assert model.network.config.hidden_size == 16


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_begins_after_the_deadline_and_an_error_hides_nothing() -> None:
    clock = Ticks()
    deadline = Deadline(clock, 100.0)

    def broken() -> Any:
        raise RuntimeError("no kernel\nat all")

    assert deadline.measure("one", lambda: 5) == 5
    clock.now = 99.0
    assert deadline.measure("two", broken) == {"error": "RuntimeError: no kernel"}
    clock.now = 100.0
    assert deadline.measure("three", lambda: 5) is None
    assert deadline.left_out == ["three"]


def test_the_table_names_what_was_measured_and_what_was_not() -> None:
    form = {"tokens_per_s": 1_234_567.0, "operations_per_s": 3e14, "peak_bytes": 2**31}
    results = {
        "device": "a GPU",
        "torch": "2.15.0",
        "matrix_operations_per_s": 6e14,
        "matrix_operations_per_s_at_first": 7e14,
        "models": {
            "small": {
                "mean_tokens": 268.4,
                "best_form": "graphs",
                "forms": {"graphs": form, "compiled": {"error": "no Triton"}, "eager": None},
                "pass_tokens": {4096: form},
                "tagger": None,
                "pipeline_tokens_per_s": {8: 100.0, 32: 98_765.0},
                "ratio_to_pipeline": 12.5,
            }
        },
    }
    shown = gpu_model.table(results).splitlines()
    assert shown[0] == "a GPU, torch 2.15.0: 600 TFLOP/s (bf16, 8192 x 8192 x 8192), 700 at first"
    assert "small, 268 tokens an article" in shown
    assert "1,234,567 tokens/s  50.0% of the matrix rate    2.0 GiB" in shown[3]
    assert shown[4].endswith("no Triton")
    assert shown[5].endswith("no time was left")
    assert "graphs, 4096 tokens" in shown[6]
    assert shown[7].split(maxsplit=1) == ["tagger", "no time was left"]
    assert "98,765 tokens/s" in shown[9]
    assert shown[-1].strip() == "12.5 times the pipeline at its best"
