"""What is shortened of the rules, and what stays."""

from __future__ import annotations

import re

import pytest

from tests.support.monitoring.files import PROMETHEUS, RULE_FILES
from tests.support.monitoring.shortened import AGES, WINDOWS, shortened, shortened_rules


def test_ranges_offsets_and_for_are_a_thirtieth_and_ages_a_sixth() -> None:
    rules = """
        expr: |
          rate(a_total[5m]) > sum_over_time(c[1h:1m]) and b > 1.2 * b offset 10m
          or max(nerstream_partition_seconds_since_progress) <= bool 60
        for: 2m
"""
    assert (
        shortened(rules)
        == """
        expr: |
          rate(a_total[10s]) > sum_over_time(c[120s:2s]) and b > 1.2 * b offset 20s
          or max(nerstream_partition_seconds_since_progress) <= bool 10
        for: 4s
"""
    )


def test_a_time_that_does_not_divide_is_refused() -> None:
    with pytest.raises(AssertionError, match="no whole number of seconds"):
        shortened("rate(a_total[40s])")


@pytest.mark.parametrize("name", RULE_FILES)
def test_nothing_but_times_differs(name: str) -> None:
    times = (
        r"\[\d+[smhd](:\d+[smhd])?\]|offset \d+[smhd]|for: \d+[smhd]|(?<=progress\) <= bool )\d+"
    )
    times += r"|(?<=since_progress > )\d+"
    before = (PROMETHEUS / name).read_text("utf-8")
    after = shortened_rules()[name]
    assert re.sub(times, "", before) == re.sub(times, "", after)
    assert len(list(re.finditer(times, before))) == len(list(re.finditer(times, after))) > 0
    assert before != after


def test_the_factors_are_those_that_are_told() -> None:
    assert (WINDOWS, AGES) == (30, 6)
