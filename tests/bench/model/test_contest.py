"""The benchmark's contest: rectangles, agreement, rounds, and the peers that are installed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.bench.model import peer as peer_module
from consumer.bench.model.contest import (
    Contestant,
    TimedEngine,
    agreement,
    engine_contestant,
    entities_of,
    run_rounds,
)
from consumer.bench.model.field import Entrant, gather
from consumer.bench.model.padded import RECTANGLES, PaddedPeer, rectangles, reduce_logits
from consumer.bench.model.peer import PEERS, Peer
from consumer.tagging.engine.engine import Answer
from consumer.tagging.model.processor import Processor
from consumer.tagging.select import load_model, select_engine
from consumer.tagging.tagger import TaggingOptions
from tests.support.models.tiny_models import SENTENCES, article, tiny_folder


@given(st.lists(st.integers(1, 600), max_size=60))
def test_rectangles_hold_each_window_once_and_little_padding(lengths: list[int]) -> None:
    groups = list(rectangles(lengths, 2_048))
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) * max(lengths[index] for index in group) <= 2_048
    longest = [max(lengths[index] for index in group) for group in groups]
    assert longest == sorted(longest, reverse=True)


class CountingRuntime:
    """Gives each token the output of its id's remainder, and says what came in."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def logits(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        self.shapes.append(ids.shape)
        assert ((ids != 0) == (mask == 1)).all()
        one_hot: np.ndarray = np.eye(3, dtype=np.float32)[ids % 3]
        return one_hot * 2


def test_a_padded_peer_takes_the_rectangles_that_are_fastest_for_it() -> None:
    runtime = CountingRuntime()
    peer = PaddedPeer(runtime, 0)
    windows = [np.arange(1, 513, dtype=np.int32)] * 20
    for slow in RECTANGLES:
        # A clock on which one size takes longer than the other.
        began = [0.0]

        def clock(began: list[float] = began, slow: int = slow) -> float:
            began[0] += 2.0 if peer.rectangle_tokens == slow else 1.0
            return began[0]

        peer.choose_rectangle(windows, clock)
        assert peer.rectangle_tokens != slow
        assert max(rows * tokens for rows, tokens in runtime.shapes) <= RECTANGLES[-1]


def test_a_padded_peer_gives_tokens_in_the_order_of_the_windows() -> None:
    runtime = CountingRuntime()
    windows = [np.arange(1, length + 1, dtype=np.int32) for length in (3, 900, 1, 1200)]
    answer = PaddedPeer(runtime, 0).run(windows)
    assert answer.label_ids.tolist() == (np.concatenate(windows) % 3).tolist()
    assert runtime.shapes == [(1, 1200), (2, 900)] or runtime.shapes[0] == (1, 1200)
    assert np.allclose(answer.scores, np.exp(2) / (np.exp(2) + 2))


def test_logits_are_reduced_without_overflow() -> None:
    answer = reduce_logits(np.array([[1e4, 0.0, -1e4], [1.0, 1.0, 1.0]], dtype=np.float32))
    assert answer.label_ids.tolist() == [0, 0]
    assert answer.scores.tolist() == [1.0, pytest.approx(1 / 3)]


def test_agreement_counts_what_both_have() -> None:
    one = {
        (0, ("body", "PER", 0, 4)),
        (0, ("body", "LOC", 9, 14)),
        (1, ("body", "PER", 0, 4)),
    }
    other = {(0, ("body", "PER", 0, 4)), (0, ("body", "ORG", 9, 14))}
    assert agreement(one, other) == pytest.approx(2 / 5)
    assert agreement(one, one) == agreement(set(), set()) == 1.0


def test_rounds_begin_with_another_contestant_each_time() -> None:
    order: list[str] = []

    def measured(name: str) -> Contestant:
        def measure() -> float:
            order.append(name)
            return float(len(order))

        return Contestant(name, "float32", False, measure)

    contestants = [measured(name) for name in "abc"]
    run_rounds(contestants, 3, lambda _: None)
    assert "".join(order) == "abcbcacab"
    assert contestants[0].rounds_s == [1.0, 6.0, 8.0]
    assert contestants[0].tokens_per_s(12) == 2.0


def test_only_the_time_in_the_engine_counts() -> None:
    readings = iter([10.0, 12.5, 20.0, 21.0])

    class Nothing:
        pads = skips_unread = is_exact = False

        def run(self, _: Any, _is_read: Any = None) -> Answer:
            return Answer(np.zeros(1, np.int16), np.zeros(1, np.float32), None)

    timed = TimedEngine(Nothing(), lambda: next(readings))
    timed.run([])
    timed.run([])
    assert timed.seconds == 3.5


def entrant(**changes: Any) -> Entrant:
    given: dict[str, Any] = {
        "model": str(tiny_folder(max_length=512)),
        "revision": "",
        "threads": 1,
        "options": TaggingOptions(batch_tokens=1_000),
        "articles": [article(number, text) for number, text in enumerate(SENTENCES)],
        "clock": time.process_time,
        "with_peers": False,
    }
    return Entrant(**{**given, **changes})


def test_the_first_contestant_is_the_workers_float32() -> None:
    field = gather(entrant(), lambda _: None)
    assert [one.is_ours for one in field.contestants] == [True] * len(field.contestants)
    assert field.contestants[0].precision == "float32"
    assert field.auto in {one.precision for one in field.contestants}
    assert set(field.ceilings) == {one.precision for one in field.contestants}
    assert all(ceiling.seconds(field.tokens) > 0 for ceiling in field.ceilings.values())
    assert all(one.measure() > 0 for one in field.contestants)
    assert field.tokens > 100


def test_a_precision_that_the_model_does_not_take_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.bench.model.ceiling.fast_precisions", lambda _: ("int16",))
    own = Processor(False, False, False, has_int16=True)
    monkeypatch.setattr("consumer.tagging.select.this_processor", lambda: own)
    monkeypatch.setattr("consumer.tagging.engine.cpu.offers.in_16_bits", lambda _: None)
    field = gather(entrant(), lambda _: None)
    assert "its layers cannot be computed in int16" in field.left_out["nerstream int16"]
    assert {one.precision for one in field.contestants} == set(field.ceilings) == {"float32"}


def test_a_peer_that_is_not_installed_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_module, "version_of", lambda _: None)
    field = gather(entrant(with_peers=True), lambda _: None)
    assert len(field.left_out) == len(PEERS)
    assert field.left_out["OpenVINO int8"] == "openvino, nncf not installed"
    assert [one.name for one in field.contestants if not one.is_ours] == ["Hugging Face pipeline"]


def test_a_peer_that_cannot_take_the_model_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operator\nmore")

    monkeypatch.setattr(peer_module, "version_of", lambda _: "1.0")
    monkeypatch.setattr(Peer, "make", fail)
    field = gather(entrant(with_peers=True), lambda _: None)
    assert set(field.left_out.values()) == {"ValueError: no such operator"}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.name} {peer.precision}")
def test_peers_give_the_entities_of_the_model(peer: Peer) -> None:
    if peer.missing:
        pytest.skip(f"{', '.join(peer.missing)} not installed")
    model = load_model(str(tiny_folder(max_length=512)), "", "cpu", "float32", 1)
    options, articles = entrant().options, entrant().articles
    engine = peer.make(model, 1)
    contestant = engine_contestant(
        peer.name, peer.precision, model, engine, options, articles, time.perf_counter
    )
    own = load_model(str(tiny_folder(max_length=512)), "", "cpu", "float32", 1)
    ours = engine_contestant(
        "", "", own, select_engine(own, False).engine, options, articles, time.perf_counter
    )
    assert contestant.tagger is not None
    assert ours.tagger is not None
    found = agreement(entities_of(contestant.tagger, articles), entities_of(ours.tagger, articles))
    assert found == 1.0 if peer.precision == "float32" else found > 0.5
