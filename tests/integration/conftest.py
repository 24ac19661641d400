"""Fixtures for the tests that run the worker."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights that answers in no time; what it says does not matter here."""
    # Imported here: it needs torch, which most tests do not.
    from tests.support.models.tiny_models import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
