"""Fixtures of the tests of models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.models.tiny_models import tiny_folder


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy of a tiny model of a family, that a test may spoil."""
    return lambda family="bert-cased": Path(shutil.copytree(tiny_folder(family), tmp_path / family))
