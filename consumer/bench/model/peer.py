"""The peers that the benchmark knows, and how each is made; one that is not installed is named."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Protocol

from consumer.tagging.engine.engine import Engine
from consumer.tagging.model.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True)
class Peer:
    """One runtime in one precision.

    Attributes:
        name: the runtime, as its makers write it.
        precision: float32, bfloat16 or int8.
        module: of `consumer.peers`, with `make(model, precision, threads) -> Engine`.
        packages: distributions that it needs, the first of them the runtime.
    """

    name: str
    precision: str
    module: str
    packages: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The distributions that are not installed."""
        return tuple(package for package in self.packages if version_of(package) is None)

    def make(self, model: LoadedModel, threads: int) -> Engine:
        """Convert and compile the model; blocks, for minutes where it is quantized.

        Args:
            model: float32, as transformers made it.
        """
        maker: _Maker = importlib.import_module(f"consumer.peers.{self.module}")
        return maker.make(model, self.precision, threads)


class _Maker(Protocol):
    def make(self, model: LoadedModel, precision: str, threads: int) -> Engine: ...


_ONNX_RUNTIME = ("onnxruntime", "onnx", "onnxscript")
_OPENVINO = ("openvino",)

PEERS = (
    Peer("ONNX Runtime", "float32", "onnx_runtime", _ONNX_RUNTIME),
    Peer("ONNX Runtime", "int8", "onnx_runtime", _ONNX_RUNTIME),
    Peer("OpenVINO", "float32", "open_vino", _OPENVINO),
    Peer("OpenVINO", "bfloat16", "open_vino", _OPENVINO),
    Peer("OpenVINO", "int8", "open_vino", (*_OPENVINO, "nncf")),
)


def version_of(package: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
