"""The tests of invariance, parity and engines again, under each lesser instruction set.

A processor can be told to use no more than another has: oneDNN, torch and MKL each read a variable
of their own, once, so that each set takes a process. What this one cannot be restricted to, or is
anyway, is skipped and says so. docs/reference/accuracy.md names what is promised on all of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.engines.restricted import NOT_RESTRICTED, used_isa

_ROOT = Path(__file__).parents[2]

#: Where tests are marked `instructions`.
_FILES = (
    "engine/cpu/test_steady_rows.py",
    "engine/cpu/test_engine.py",
    "engine/cpu/layers/test_attention.py",
    "engine/cpu/layers/test_fused_layer.py",
    "engine/cpu/layers/test_int16_models.py",
    "engine/cpu/layers/test_quantized_layer.py",
    "test_tagger.py",
    "test_bundled_model.py",
)

#: Set -> what a processor of it has (by torch's names), and what restricts another to it. From the
#: least to the most.
SETS: dict[str, tuple[str, dict[str, str]]] = {
    "AVX2": (
        "avx2",
        {
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        },
    ),
    "AVX-512": (
        "avx512_bw",
        {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    ),
    "AVX-512 with VNNI": ("avx512_vnni", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}),
    "AVX-512 with bfloat16": ("avx512_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}),
    "AMX": ("amx_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}),
}


def own_set() -> str | None:
    """The most that this processor has."""
    capabilities = torch.cpu.get_capabilities()
    return next((name for name in reversed(SETS) if capabilities.get(SETS[name][0])), None)


@pytest.mark.timeout(2_460)
@pytest.mark.parametrize("name", SETS)
def test_the_suite_under_a_lesser_instruction_set(name: str) -> None:
    own, (needed, variables) = own_set(), SETS[name]
    if os.environ.get("ONEDNN_MAX_CPU_ISA") or not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("the processor is restricted already, or torch cannot say what it has")
    if not torch.cpu.get_capabilities().get(needed):
        pytest.skip(f"this processor has no {name}")
    if name == own:
        pytest.skip(f"this processor has {name} and no more: all other tests run so")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.support.engines.restricted", used_isa()),
            *("-q", "-m", "instructions", "-p", "no:cacheprovider"),
            *(str(Path(__file__).parent / file) for file in _FILES),
        ],
        cwd=_ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    if done.returncode == NOT_RESTRICTED:
        pytest.skip(f"oneDNN cannot be restricted to {name} here")
    assert done.returncode == 0, f"with {variables}:\n{done.stdout[-6_000:]}{done.stderr[-2_000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 20
