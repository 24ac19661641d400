"""PassLimit: halved at once, raised again late."""

from __future__ import annotations

import logging

import pytest

from consumer.tagging.engine.pass_limit import PATIENCE_PASSES, PassLimit


def fit(limit: PassLimit, passes: int, tokens: int) -> None:
    for _ in range(passes):
        limit.fitted(tokens)


def test_it_is_halved_and_remembered() -> None:
    limit = PassLimit(1_000)
    assert limit.tokens == 1_000
    limit.ran_out(900)
    limit.ran_out(450)
    assert limit.tokens == 225
    fit(limit, PATIENCE_PASSES - 1, 225)
    assert limit.tokens == 225


def test_it_never_falls_below_one_nor_rises_above_the_first() -> None:
    limit = PassLimit(3)
    limit.ran_out(1)
    assert limit.tokens == 1
    fit(limit, 10 * PATIENCE_PASSES, 3)
    assert limit.tokens == 3


def test_after_long_enough_a_larger_pass_is_tried_again() -> None:
    limit = PassLimit(1_000)
    limit.ran_out(1_000)
    fit(limit, PATIENCE_PASSES, 500)
    assert limit.tokens == 1_000


def test_small_passes_say_nothing() -> None:
    limit = PassLimit(1_000)
    limit.ran_out(1_000)
    fit(limit, 10 * PATIENCE_PASSES, 249)
    assert limit.tokens == 500


def test_a_try_that_fails_doubles_the_patience() -> None:
    limit = PassLimit(1_000)
    limit.ran_out(1_000)
    for times in (1, 2, 4):
        fit(limit, times * PATIENCE_PASSES - 1, 500)
        assert limit.tokens == 500
        limit.fitted(500)
        assert limit.tokens == 1_000
        limit.ran_out(1_000)


def test_halving_step_by_step_costs_no_patience() -> None:
    limit = PassLimit(1_024)
    for tokens in (1_024, 512, 256):
        limit.ran_out(tokens)
    fit(limit, PATIENCE_PASSES, 128)
    assert limit.tokens == 256


def test_each_change_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    limit = PassLimit(1_000)
    with caplog.at_level(logging.INFO):
        limit.ran_out(1_000)
        fit(limit, PATIENCE_PASSES, 500)
    assert caplog.messages == [
        "out of memory in a pass of 1000 tokens; passes have at most 500 from now on",
        "passes may have up to 1000 tokens again",
    ]


def test_a_pass_that_was_begun_before_the_limit_fell_does_not_raise_it() -> None:
    limit = PassLimit(1_000)
    limit.ran_out(1_000)
    limit.ran_out(500)
    limit.ran_out(1_000)
    assert limit.tokens == 250
