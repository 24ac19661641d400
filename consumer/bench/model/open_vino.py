"""OpenVINO on the CPU: float32, bfloat16, and NNCF's post-training int8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from consumer.bench.model.exporting import LogitsOf, calibration_windows, example_inputs, quiet
from consumer.bench.model.padded import PaddedPeer
from consumer.tagging.model.loaded_model import LoadedModel

#: `int8` leaves what is not quantized in the fastest precision, as its makers advise.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}


class _Compiled:
    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self._request.infer([ids, mask], share_inputs=True)
        found: NDArray[np.float32] = self._request.get_output_tensor(0).data.copy()
        return found


def make(model: LoadedModel, precision: str, threads: int) -> PaddedPeer:
    """Convert and, for int8, quantize the model on the samples; blocks for as much as minutes."""
    import openvino

    with quiet():
        converted = openvino.convert_model(
            LogitsOf(model.network).eval(), example_input=example_inputs(model)
        )
        if precision == "int8":
            converted = _quantized(converted, model)
        compiled = openvino.compile_model(
            converted,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
    return PaddedPeer(_Compiled(compiled), model.pad_id)


def _quantized(converted: Any, model: LoadedModel) -> Any:
    import nncf

    windows = [(window, np.ones_like(window)) for window in calibration_windows(model)]
    return nncf.quantize(
        converted,
        nncf.Dataset(windows, list),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(windows),
    )
