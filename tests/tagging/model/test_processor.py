"""What a processor is known to compute fast."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from consumer.tagging.engine.cpu.layers.native_layer import load_layer_kernel
from consumer.tagging.engine.cpu.layers.this_processor import this_processor
from consumer.tagging.model import processor


def test_of_this_processor_our_own_matmuls_are_what_the_library_says() -> None:
    kernel, found = load_layer_kernel(), this_processor()
    assert found.has_int16 == (kernel is not None and kernel.runs)
    assert not found.prefers_int16 or (found.has_int16 and not found.has_bfloat16)


@pytest.mark.parametrize("has_bfloat16", [False, True])
@pytest.mark.parametrize("is_fast", [False, True])
@pytest.mark.parametrize("has_library", [False, True])
def test_int16_is_preferred_where_it_is_fast_and_nothing_is_better(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, is_fast: bool, has_library: bool
) -> None:
    kernel = SimpleNamespace(runs=True, is_fast=is_fast) if has_library else None
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(processor, "_capabilities", lambda: {"avx512_bf16": has_bfloat16})
    found = processor.read_processor(kernel)
    assert (found.has_bfloat16, found.has_int16) == (has_bfloat16, has_library)
    assert found.prefers_int16 == (has_library and is_fast and not has_bfloat16)


@pytest.mark.parametrize(
    ("most", "has"),
    [
        ("", (True, True, True)),
        ("ALL", (True, True, True)),
        ("no such set", (True, True, True)),
        ("AVX512_CORE_AMX", (True, True, True)),
        ("AVX10_1_512_AMX_FP16", (True, True, True)),
        ("AVX512_CORE_FP16", (True, True, False)),
        ("avx512_core_bf16", (True, True, False)),
        ("AVX512_CORE_VNNI", (False, True, False)),
        ("AVX512_CORE", (False, False, False)),
        ("AVX2_VNNI", (False, False, False)),
        ("AVX2", (False, False, False)),
    ],
)
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_a_processor_has_no_more_than_its_library_may_use(
    monkeypatch: pytest.MonkeyPatch, variable: str, most: str, has: tuple[bool, bool, bool]
) -> None:
    """A model in bfloat16 would not run, and sums of eight bits would overflow."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, most)
    everything = dict.fromkeys(("avx512_bf16", "amx_bf16", "avx512_vnni"), True)
    monkeypatch.setattr(processor, "_capabilities", lambda: everything)
    found = processor.read_processor(None)
    assert (found.has_bfloat16, found.has_int8, found.has_amx) == has
