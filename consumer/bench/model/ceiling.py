"""Ceiling: what the processor can do, by the matmuls of a model's layers alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import torch
from torch.nn.functional import linear

from consumer.bench.model.contest import Clock
from consumer.contracts.errors import ModelError
from consumer.tagging.engine.cpu.engine import part_tokens
from consumer.tagging.engine.cpu.layers.fused_layer import PrepackedLinear
from consumer.tagging.engine.cpu.layers.native_layer import load_layer_kernel
from consumer.tagging.engine.cpu.layers.quantization import CENTRE, InputScales
from consumer.tagging.engine.cpu.layers.quantized_linear import Int8Linear
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import fast_precisions, this_machine

_Matmul = Callable[[torch.Tensor], object]


def ceiling_precisions() -> tuple[str, ...]:
    """Precisions whose matmuls this processor has."""
    return ("float32", *(str(one) for one in fast_precisions(this_machine(torch.device("cpu")))))


class Ceiling:
    """The matmuls of all layers on tokens that are ready for them; nothing between, no attention.

    In the fastest form that we know: torch's own for float32, prepacked weights for bfloat16,
    oneDNN's quantized matmul for int8, our own for int16, which quantizes its inputs on the way
    (2 to 3 % of it). Inputs are as long as a pass of the CPU engine.

    Args:
        model: gives the shapes; its weights are not used.
        clock: what counts the seconds.

    Raises:
        ModelError: its layers cannot be read.
    """

    def __init__(self, model: LoadedModel, precision: str, clock: Clock) -> None:
        self._clock = clock
        layers = find_layers(model.network)
        if layers is None:
            raise ModelError(f"model {model.info.name}: the matmuls of its layers are not known")
        # As many on each core.
        cores = torch.get_num_threads() if precision == "int16" else 1
        self._tokens = cores * part_tokens(model, precision)
        self._matmuls: list[tuple[_Matmul, torch.Tensor]] = []
        inputs: dict[int, torch.Tensor] = {}
        for layer in layers:
            weights = read_layer(layer)
            assert weights is not None
            for outputs, size in (
                (3 * weights.query.out_features, weights.query.in_features),
                (weights.out.out_features, weights.out.in_features),
                (weights.up.out_features, weights.up.in_features),
                (weights.down.out_features, weights.down.in_features),
            ):
                if size not in inputs:
                    inputs[size] = _inputs(self._tokens, size, precision)
                # Weights of its own for each matmul: they come from memory as a model's do.
                matmul = _matmul(torch.randn(outputs, size) / size**0.5, precision)
                self._matmuls.append((matmul, inputs[size]))

    @torch.inference_mode()
    def seconds(self, tokens: int) -> float:
        """Seconds for about so many tokens, by as many passes as make the clock sure."""
        passes = max(1, round(tokens / self._tokens))
        begin = self._clock()
        for _ in range(passes):
            for matmul, inputs in self._matmuls:
                matmul(inputs)
        return (self._clock() - begin) / passes * tokens / self._tokens


def _inputs(tokens: int, size: int, precision: str) -> torch.Tensor:
    if precision == "int8":
        return torch.randint(0, 256, (tokens, size), dtype=torch.uint8)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return torch.randn(tokens, size, dtype=dtype)


def _matmul(weight: torch.Tensor, precision: str) -> _Matmul:
    bias = torch.zeros(len(weight))
    if precision == "float32":
        return lambda inputs: linear(inputs, weight, bias)
    if precision == "bfloat16":
        return PrepackedLinear(weight.to(torch.bfloat16), bias.to(torch.bfloat16))
    if precision == "int16":
        kernel = load_layer_kernel()
        assert kernel is not None
        return _on_all_threads(partial(kernel.multiply, kernel.linear(weight, bias)))
    scales = InputScales(torch.tensor(0.01), CENTRE)
    return Int8Linear(weight, bias, scales).of_integers


def _on_all_threads(matmul: _Matmul) -> _Matmul:
    """A matmul that is one thread's own, on a share of the tokens in each: torch's are shared by
    as many."""
    pool = _threads(torch.get_num_threads())
    return lambda inputs: list(pool.map(matmul, inputs.tensor_split(torch.get_num_threads())))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)
