"""Which precision a model is loaded in, and which engine runs it: each decision by its name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from consumer.contracts.choices import Dtype
from consumer.contracts.errors import ModelError
from consumer.tagging import select
from consumer.tagging.engine.engine import PackedEngine
from consumer.tagging.engine.offer import Auto, Machine, Made, Models, Offer
from consumer.tagging.engine.padded_company import DoesNotRunInPrecision
from consumer.tagging.model.device import LOW_PRECISIONS
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import Processor
from tests.support.models.tiny_models import save_tiny_model, tiny_folder

NOTHING = Processor(has_bfloat16=False, has_int8=False, has_amx=False)
EIGHT_BITS = Processor(has_bfloat16=True, has_int8=True, has_amx=False)
GPU = Machine(torch.device("cuda", 0), EIGHT_BITS)


def load(name: Path | str, **changes: Any) -> LoadedModel:
    arguments = {"revision": "", "device": "cpu", "dtype": "float32", "threads": 0, **changes}
    return select.load_model(str(name), **arguments)


def cpu(processor: Processor) -> Machine:
    return Machine(torch.device("cpu"), processor)


@pytest.mark.parametrize(
    ("own", "dtype"),
    [
        (Processor(has_bfloat16=True, has_int8=True, has_amx=False), "bfloat16"),
        (Processor(has_bfloat16=False, has_int8=True, has_amx=False), "float32"),
        (Processor(has_bfloat16=False, has_int8=False, has_amx=False), "float32"),
        (Processor(False, False, False, has_int16=True), "float32"),
        (Processor(False, False, False, has_int16=True, prefers_int16=True), "int16"),
        (Processor(True, True, False, has_int16=True), "bfloat16"),
    ],
)
def test_auto_on_the_cpu_is_what_the_processor_multiplies(
    monkeypatch: pytest.MonkeyPatch, own: Processor, dtype: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(select, "this_processor", lambda: own)
    model = load(tiny_folder(), device="auto", dtype="auto")
    assert (model.info.device, model.info.dtype) == ("cpu", dtype)
    assert model.network.dtype == (torch.float32 if dtype == "int16" else getattr(torch, dtype))
    assert load(tiny_folder(), dtype="float32").info.dtype == "float32"


@pytest.mark.parametrize(
    ("own", "says", "dtype"),
    [
        (EIGHT_BITS, '{"faithful_dtypes": ["bfloat16", "int8"]}', "int8"),
        (EIGHT_BITS, '{"faithful_dtypes": ["bfloat16"]}', "bfloat16"),
        (EIGHT_BITS, "{}", "bfloat16"),
        (replace(EIGHT_BITS, has_amx=True), '{"faithful_dtypes": ["int8"]}', "bfloat16"),
        (replace(EIGHT_BITS, has_int8=False), '{"faithful_dtypes": ["int8"]}', "bfloat16"),
        (replace(EIGHT_BITS, has_bfloat16=False), '{"faithful_dtypes": ["int8"]}', "float32"),
    ],
)
def test_auto_is_int8_for_a_model_that_keeps_its_entities_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: Processor, says: str, dtype: str
) -> None:
    monkeypatch.setattr(select, "this_processor", lambda: own)
    folder = save_tiny_model(tmp_path / "ner")
    (folder / "nerstream.json").write_text(says)
    assert load(folder, device="cpu", dtype="auto").info.dtype == dtype
    assert load(folder, device="cpu", dtype="bfloat16").info.dtype == "bfloat16"


def test_for_a_gpu_auto_is_bfloat16_whatever_a_model_keeps_its_entities_in() -> None:
    assert select.choose_dtype("m", "auto", GPU, {"int8", "float16"}) is Dtype.BFLOAT16


def test_float16_is_never_auto() -> None:
    for machine in (GPU, cpu(EIGHT_BITS), cpu(NOTHING)):
        assert Dtype.FLOAT16 not in {
            offer.dtype for offer in select.offers_for("auto", machine, set(Dtype))
        }


def test_what_auto_is_and_why_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        select.choose_dtype("m", "auto", cpu(EIGHT_BITS), {"int8"})
    assert caplog.messages == [
        "model m: dtype auto is int8 on cpu; time beside float32's: int8 0.27, bfloat16 0.44, "
        "float32 0.97"
    ]


@pytest.mark.parametrize(
    ("processor", "dtypes"),
    [
        (EIGHT_BITS, ("bfloat16", "int8")),
        (replace(EIGHT_BITS, has_amx=True), ("bfloat16", "int8")),
        (replace(EIGHT_BITS, has_int16=True), ("bfloat16", "int8")),
        (replace(EIGHT_BITS, has_int8=False), ("bfloat16",)),
        (replace(EIGHT_BITS, has_bfloat16=False), ("int8",)),
        (replace(NOTHING, has_int16=True, prefers_int16=True), ("int16",)),
        (replace(NOTHING, has_int16=True), ()),
        (NOTHING, ()),
    ],
)
def test_what_a_processor_computes_faster_than_float32(
    processor: Processor, dtypes: tuple[str, ...]
) -> None:
    assert select.fast_precisions(cpu(processor)) == dtypes


def test_a_gpu_has_two_of_sixteen_bits() -> None:
    assert select.fast_precisions(GPU) == ("bfloat16", "float16")


ALL = Processor(True, True, False, has_int16=True)


def test_every_precision_but_auto_can_be_computed() -> None:
    for dtype in set(Dtype) - {Dtype.AUTO}:
        select.check_dtype("m", dtype, cpu(ALL))
        assert select.choose_dtype("m", dtype, cpu(ALL), ()) is dtype
    assert {Dtype.AUTO, Dtype.FLOAT32, *LOW_PRECISIONS} == set(Dtype)


def test_int8_is_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "this_processor", lambda: Processor(True, True, True))
    model = load(tiny_folder(), dtype="int8")
    assert (model.info.dtype, model.network.dtype) == ("int8", torch.float32)
    with pytest.raises(ModelError, match="dtype int8 is for the CPU; use --dtype auto on cuda:0"):
        select.check_dtype("name", "int8", GPU)
    monkeypatch.setattr(select, "this_processor", lambda: Processor(True, False, False))
    with pytest.raises(ModelError, match="int8 needs a processor with AVX-512 VNNI; use --dtype a"):
        load(tiny_folder(), dtype="int8")


def test_int16_is_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    has_it = Processor(False, False, False, has_int16=True)
    monkeypatch.setattr(select, "this_processor", lambda: has_it)
    model = load(tiny_folder(), dtype="int16")
    assert (model.info.dtype, model.network.dtype) == ("int16", torch.float32)
    with pytest.raises(ModelError, match="dtype int16 is for the CPU; use --dtype auto on cuda:0"):
        select.check_dtype("name", "int16", GPU)
    monkeypatch.setattr(select, "this_processor", lambda: Processor(True, True, True))
    with pytest.raises(
        ModelError, match="with AVX2, and a C compiler where nerstream is installed"
    ):
        load(tiny_folder(), dtype="int16")


def names(dtype: str, machine: Machine) -> list[str]:
    return [offer.name for offer in select.offers_for(dtype, machine)]


@pytest.mark.parametrize(
    ("dtype", "machine", "expected"),
    [
        (
            "float32",
            cpu(NOTHING),
            ["fused layers, attention by our own kernel", "packed windows", "padded windows"],
        ),
        ("bfloat16", cpu(NOTHING), ["packed windows", "padded windows"]),
        ("bfloat16", cpu(ALL), ["fused layers", "packed windows", "padded windows"]),
        ("float16", cpu(ALL), ["packed windows", "padded windows"]),
        ("int16", cpu(ALL), ["fused layers, 16-bit integers by our own kernel"]),
        ("int8", cpu(ALL), ["fused layers, 8-bit integers"]),
        ("int8", cpu(NOTHING), []),
        *(
            (
                dtype,
                GPU,
                [
                    "attention of all windows in one call",
                    "packed windows, one attention call each",
                    "padded windows",
                ],
            )
            for dtype in ("float32", "bfloat16", "float16")
        ),
        ("int16", GPU, []),
    ],
)
def test_what_engines_offer_cheapest_first(
    dtype: str, machine: Machine, expected: list[str]
) -> None:
    assert names(dtype, machine) == expected


def test_whoever_asks_for_float32_by_name_gets_the_models_own_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By whatever faster ones it could be computed."""
    made: list[str] = []
    use(monkeypatch, [offer_of("fast", 0.5, made), offer_of("own", 1.0, made, is_plain=True)])
    select.select_engine(load(tiny_folder()), False)
    select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)
    assert made == ["own", "fast"]


def test_offers_are_tried_until_one_takes_the_model(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[str] = []
    use(
        monkeypatch,
        [
            offer_of("third", 3.0, made),
            offer_of("refuses", 1.0, made, takes=False),
            offer_of("second", 2.0, made),
        ],
    )
    with caplog.at_level(logging.INFO):
        select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)
    assert made == ["refuses", "second"]
    assert caplog.messages[-1].endswith(": float32, by second")


def test_a_model_that_cannot_be_packed_is_offered_to_engines_for_any_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    use(
        monkeypatch,
        [
            offer_of("layers", 1.0, made, models=Models.ENCODERS),
            offer_of("packed", 2.0, made, models=Models.PACKED),
            offer_of("any", 3.0, made, models=Models.ANY),
        ],
    )
    monkeypatch.setattr(select, "can_pack", lambda _: False)
    select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)
    assert made == ["any"]


def test_an_engine_that_a_model_breaks_is_not_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one is taken; after the last there is a sentence, and never a traceback."""
    made: list[str] = []
    broken = offer_of("broken", 1.0, made, fault=AttributeError("no attribute 'output'"))
    use(monkeypatch, [broken, offer_of("second", 2.0, made)])
    select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)
    assert made == ["broken", "second"]
    assert "not by broken in float32 (AttributeError: no attribute 'output')" in caplog.text
    use(monkeypatch, [broken])
    with pytest.raises(ModelError, match=r"does not run in float32 \(AttributeError: no attribute"):
        select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)
    full = offer_of("full", 1.0, made, fault=RuntimeError("DefaultCPUAllocator: not enough memory"))
    use(monkeypatch, [full, offer_of("second", 2.0, made)])
    with pytest.raises(RuntimeError, match="not enough memory"):
        select.select_engine(replace(load(tiny_folder()), asked_dtype="auto"), False)


def test_a_model_that_breaks_an_engine_of_other_layers_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its layers may be replaced by half."""
    made: list[str] = []
    broken = offer_of("fused", 0.5, made, models=Models.ENCODERS, fault=IndexError("out of range"))
    own = offer_of("own", 1.0, made, is_plain=True)
    use(monkeypatch, [broken, own])

    def attempt(dtype: str) -> str:
        model = replace(load(tiny_folder()), asked_dtype=dtype)
        return select.select_engine(model, False).model.info.dtype

    assert select.with_fallback("auto", attempt) == "float32"
    assert made == ["fused", "own"]


@pytest.mark.parametrize("dtype", [Dtype.INT16, Dtype.INT8])
def test_auto_falls_back_to_float32_where_no_integers_take_the_model(
    monkeypatch: pytest.MonkeyPatch, dtype: Dtype
) -> None:
    """Its weights are at hand. Whoever names the precision is told."""
    made: list[str] = []
    use(
        monkeypatch,
        [
            offer_of("integers", 0.5, made, dtype=dtype, takes=False),
            offer_of("float32", 1.0, made),
        ],
    )

    def integers(asked: str) -> LoadedModel:
        model = load(tiny_folder())
        return replace(model, info=replace(model.info, dtype=dtype.value), asked_dtype=asked)

    found = select.select_engine(integers("auto"), False)
    assert (made, found.model.info.dtype) == (["integers", "float32"], "float32")
    with pytest.raises(
        ModelError, match=f"its layers cannot be computed in {dtype}; use --dtype auto"
    ):
        select.select_engine(integers(dtype), False)
    monkeypatch.setattr(select, "can_pack", lambda _: False)
    with pytest.raises(ModelError, match=f"it does not run in {dtype}, since its attention cannot"):
        select.select_engine(integers(dtype), False)


def test_a_model_that_does_not_run_in_what_auto_is_is_read_again_in_float32() -> None:
    attempts: list[str] = []

    def attempt(dtype: str) -> str:
        attempts.append(dtype)
        if dtype != "float32":
            raise DoesNotRunInPrecision("model m: it does not run in bfloat16")
        return dtype

    assert select.with_fallback("auto", attempt) == "float32"
    assert attempts == ["auto", "float32"]
    with pytest.raises(DoesNotRunInPrecision):
        select.with_fallback("bfloat16", attempt)


def test_the_engine_of_a_model_answers() -> None:
    """All of it at once, with nothing in its place."""
    found = select.select_engine(load(tiny_folder(), dtype="auto"), False)
    answer = found.engine.run([np.array([1, 7, 9, 2], dtype=np.int32)])
    assert np.isfinite(answer.scores).all()


def use(monkeypatch: pytest.MonkeyPatch, offers: Sequence[Offer]) -> None:
    monkeypatch.setattr(select, "OFFERS", tuple(offers))


def offer_of(
    name: str,
    cost: float,
    made: list[str],
    *,
    takes: bool = True,
    dtype: Dtype = Dtype.FLOAT32,
    models: Models = Models.PACKED,
    is_plain: bool = False,
    fault: Exception | None = None,
) -> Offer:
    """An offer that writes down that it was taken."""

    def make(model: LoadedModel, with_probabilities: bool) -> Made | None:
        made.append(name)
        if fault is not None:
            raise fault
        return Made(PackedEngine(model, with_probabilities), f"by {name}") if takes else None

    return Offer(
        name=name,
        dtype=dtype,
        devices=("cpu",),
        models=models,
        cost=lambda _: cost,
        auto=lambda _: Auto.ANY,
        make=make,
        is_plain=is_plain,
    )
