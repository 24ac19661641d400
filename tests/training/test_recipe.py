from __future__ import annotations

import pytest

from consumer.training.recipe import Recipe


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(learning_rate=1e-3, warmup_ratio=0.2)
    assert recipe.learning_rate_at(0.1) == pytest.approx(5e-4)
    assert recipe.learning_rate_at(0.2) == pytest.approx(1e-3)
    assert recipe.learning_rate_at(0.6) == pytest.approx(5e-4)
    assert recipe.learning_rate_at(1.0) == 0.0
