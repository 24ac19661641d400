"""Tiny models in the precisions that a CPU's engine has layers of its own for; their windows."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.select import load_model
from tests.support.engines.native_kernels import needs_kernel
from tests.support.models.tiny_models import tiny_folder

needs_bfloat16 = pytest.mark.skipif(
    not this_processor().has_bfloat16, reason="needs a processor that multiplies bfloat16"
)
needs_int16 = pytest.mark.skipif(
    not this_processor().has_int16, reason="needs AVX2 and a C compiler at installation"
)
needs_int8 = pytest.mark.skipif(
    not this_processor().has_int8, reason="needs a processor with AVX-512 VNNI"
)

#: float32 as `auto` has it where the processor multiplies nothing smaller: not to the last digit.
OWN_FLOAT32 = "own float32"

#: The precisions of packed layers.
FUSED = (
    pytest.param("bfloat16", marks=needs_bfloat16),
    pytest.param("int8", marks=needs_int8),
    pytest.param("int16", marks=needs_int16),
    pytest.param(OWN_FLOAT32, marks=needs_kernel),
)

LENGTHS = (40, 60, 7, 30, 3)


@cache
def two_headed(family: str) -> Path:
    """The same weights as two heads, 16 wide, as the kernel takes them, instead of four."""
    parent = Path(tempfile.mkdtemp(prefix="two-headed-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / family
    shutil.copytree(tiny_folder(family), folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["n_heads" if "n_heads" in config else "num_attention_heads"] = 2
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def load(family: str, dtype: str, threads: int = 1) -> Any:
    if dtype != OWN_FLOAT32:
        return load_model(str(tiny_folder(family)), "", "cpu", dtype, threads)
    model = load_model(str(two_headed(family)), "", "cpu", "float32", threads)
    return replace(model, asked_dtype="auto")


def windows(lengths: Sequence[int] = LENGTHS) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(5, 60, size=length, dtype=np.int32) for length in lengths]
