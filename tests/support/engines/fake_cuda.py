"""The part of torch.cuda that `CudaDevice` uses, on the CPU: each call is done when it returns.

A captured graph remembers the program's arguments and answer, and a replay runs the program again
on what its inputs hold then, and writes the answer to where it was: as a device does it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch

from consumer.tagging.engine.cuda.pass_layout import PassShape


class FakeStream:
    def __init__(self, _device: object = None) -> None:
        self.waited: list[FakeEvent] = []

    def wait_event(self, event: FakeEvent) -> None:
        assert event.recorded, "waits for an event that nobody recorded"
        self.waited.append(event)


class FakeEvent:
    def __init__(self, **_how: object) -> None:
        self.recorded = 0
        self.synchronized = 0

    def record(self, _stream: FakeStream) -> None:
        self.recorded += 1

    def synchronize(self) -> None:
        assert self.recorded
        self.synchronized += 1


class FakeGraph:
    def __init__(self) -> None:
        self.work: list[tuple[torch.Tensor, PassShape, torch.Tensor]] = []
        self.cuda: FakeCuda | None = None

    def replay(self) -> None:
        assert self.cuda is not None, "never captured"
        self.cuda.replays += 1
        for inputs, shape, answer in self.work:
            answer.copy_(self.cuda.computed(inputs, shape))


class FakeCuda:
    """Puts itself in the place of torch.cuda, and runs a program: each token's id and position.

    Attributes:
        eager, captures, replays: how often each was done.
        fits_tokens: an eager pass of more finds no memory.
        graphs_take_tokens: so many fewer fit while there is a graph.
        capture_fails: what a capture raises.
        emptied: how often unused memory was given back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.eager = self.captures = self.replays = self.emptied = self.synchronized = 0
        self.fits_tokens = 1 << 30
        self.graphs_take_tokens = 0
        self.capture_fails: RuntimeError | None = None
        self.graphs: list[FakeGraph] = []
        self._capturing: FakeGraph | None = None
        for name, what in {
            "Stream": FakeStream,
            "Event": FakeEvent,
            "CUDAGraph": self._graph,
            "graph": self._capture,
            "graph_pool_handle": object,
            "stream": contextlib.nullcontext,
            "synchronize": self._synchronize,
            "empty_cache": self._empty,
        }.items():
            monkeypatch.setattr(torch.cuda, name, what)
        empty = torch.empty

        def unpinned(*sizes: object, **how: object) -> torch.Tensor:
            how.pop("pin_memory", None)
            return empty(*sizes, **how)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr(torch, "empty", unpinned)

    def program(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        answer = self.computed(inputs, shape)
        if self._capturing is not None:
            if self.capture_fails is not None:
                raise self.capture_fails
            self._capturing.work.append((inputs, shape, answer))
            self._capturing.cuda = self
            return answer
        taken = self.graphs_take_tokens if any(graph.work for graph in self.graphs) else 0
        if shape.tokens > self.fits_tokens - taken:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.eager += 1
        return answer

    @staticmethod
    def computed(inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        ids, positions = inputs[: shape.tokens], inputs[shape.tokens : 2 * shape.tokens]
        return torch.stack((ids, positions.float().view(torch.int32)))

    def _graph(self) -> FakeGraph:
        graph = FakeGraph()
        self.graphs.append(graph)
        return graph

    @contextlib.contextmanager
    def _capture(self, graph: FakeGraph, **how: object) -> Iterator[None]:
        assert how["capture_error_mode"] == "thread_local"
        self.captures += 1
        self._capturing = graph
        try:
            yield
        finally:
            self._capturing = None

    def _synchronize(self, _device: object) -> None:
        self.synchronized += 1

    def _empty(self) -> None:
        self.emptied += 1
        # What nobody holds is free.
        self.graphs.clear()
