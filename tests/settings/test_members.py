"""Patterns of names."""

from __future__ import annotations

import pytest

from consumer.settings.members import fits


@pytest.mark.parametrize(
    ("name", "pattern", "answer"),
    [
        ("body_text", "body_*", True),
        ("body_", "body_*", True),
        ("body", "body_*", False),
        ("a body_text", "body_*", False),
        ("body", "body", True),
        ("body_text", "body", False),
        ("", "*", True),
        ("a\nb", "a*b", True),
        ("abcab", "a*b*b", True),
        ("ab", "a*b*b", False),
        ("aXbXc", "*X*X*", True),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("a[b]", "*[b]", True),
    ],
)
def test_a_star_stands_for_any_characters(name: str, pattern: str, answer: bool) -> None:
    assert fits(name, pattern) is answer


def test_a_pattern_of_many_stars_takes_a_long_name_in_linear_time() -> None:
    assert not fits("ab" * 100_000, "*a" * 20 + "*c")
