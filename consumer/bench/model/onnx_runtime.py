"""ONNX Runtime on the CPU: float32, and its own dynamic int8 quantization."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.bench.model.exporting import LogitsOf, example_inputs, quiet
from consumer.bench.model.padded import PaddedPeer
from consumer.tagging.model.loaded_model import LoadedModel

_NAMES = ("input_ids", "attention_mask")


class _Session:
    def __init__(self, session: Any) -> None:
        self._session = session

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = dict(zip(_NAMES, (ids, mask), strict=True))
        found: NDArray[np.float32] = self._session.run(None, inputs)[0]
        return found


def make(model: LoadedModel, precision: str, threads: int) -> PaddedPeer:
    """Export, optimise and, for int8, quantize the model; blocks for as much as a minute."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait in a loop would take the cores from whoever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(model, path)
        if precision == "int8":
            path = _quantized(path)
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    return PaddedPeer(_Session(session), model.pad_id)


def _export(model: LoadedModel, path: Path) -> None:
    shape = {0: torch.export.Dim("windows"), 1: torch.export.Dim("tokens")}
    with quiet():
        torch.onnx.export(
            LogitsOf(model.network).eval(),
            example_inputs(model),
            path,
            input_names=list(_NAMES),
            output_names=["logits"],
            dynamo=True,
            dynamic_shapes=(shape, shape),
        )


def _quantized(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name("model-int8.onnx")
    with quiet():
        quantize_dynamic(path, target, weight_type=QuantType.QInt8, per_channel=True)
    return target
