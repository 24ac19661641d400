"""What every GPU test needs: a CUDA device, or it is skipped and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are marked `cuda`, so that `pytest -m cuda` runs just them."""
    missing = None if torch.cuda.is_available() else "torch finds no CUDA device here"
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cuda)
            if missing is not None:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture
def bundled() -> Callable[..., LoadedModel]:
    """Loads the bundled model."""

    def load(dtype: str = "bfloat16", device: str = "cuda") -> LoadedModel:
        return load_model(str(find_model_folder("bundled", "").path), "", device, dtype, 0)

    return load


@pytest.fixture(autouse=True)
def leave_no_memory() -> Iterator[None]:
    """Each test finds the device as the first did."""
    yield
    torch.cuda.empty_cache()
