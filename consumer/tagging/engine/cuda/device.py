"""CudaDevice: passes on three CUDA streams, with pinned memory and captured graphs.

Uploads, computation and downloads have a stream each. With one stream for both directions
the next upload would queue behind the download of the pass before it. That download waits for the
whole computation.
"""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.contracts.errors import first_line
from consumer.tagging.engine.cuda.capture_policy import CapturePolicy, Way
from consumer.tagging.engine.cuda.pass_layout import PassShape
from consumer.tagging.engine.cuda.size_ladder import SizeLadder
from consumer.tagging.engine.cuda.varlen_engine import SLOTS
from consumer.tagging.engine.engine import is_out_of_memory

#: Sizes of a buffer, so few that it is rarely made anew.
_BUFFER_LADDER = SizeLadder(smallest=4096, rungs_per_octave=1)

_log = logging.getLogger(__name__)


class Program(Protocol):
    """What is computed, see `VarlenProgram`."""

    def __call__(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        """From int32 (shape.inputs,) to int32 (rows, shape.tokens)."""
        ...


def _event() -> torch.cuda.Event:
    # Blocking: the thread sleeps until the answer is there, and leaves its core to tokenising.
    return torch.cuda.Event(blocking=True)


@dataclass(slots=True, eq=False)
class _Slot:
    """Buffers, made as large as they are needed, and what is done with them."""

    host_inputs: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    device_inputs: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    device_answer: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    host_answer: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    uploaded: torch.cuda.Event = field(default_factory=_event)
    computed: torch.cuda.Event = field(default_factory=_event)
    downloaded: torch.cuda.Event = field(default_factory=_event)
    tokens: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Captured:
    """A graph reads `inputs` and writes `answer`, always at the same addresses."""

    graph: torch.cuda.CUDAGraph
    inputs: torch.Tensor
    answer: torch.Tensor


class CudaDevice:
    """Fulfils `consumer.tagging.engine.cuda.varlen_engine.PassDevice`. One thread uses it.

    Args:
        device: a CUDA device; the program's weights are there.
        rows: rows of the program's answers.
        policy: what is captured; None runs every pass kernel by kernel.
    """

    def __init__(
        self, device: torch.device, program: Program, rows: int, policy: CapturePolicy | None
    ) -> None:
        self._device = device
        self._program = program
        self._rows = rows
        self._policy = policy
        self._graphs: dict[PassShape, _Captured] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._upload = torch.cuda.Stream(device)
        self._compute = torch.cuda.Stream(device)
        self._download = torch.cuda.Stream(device)
        self._slots = [_Slot() for _ in range(SLOTS)]
        # The weights came by another stream.
        torch.cuda.synchronize(device)

    @property
    def graphs(self) -> int:
        """Captured graphs at hand."""
        return len(self._graphs)

    def pool_bytes(self) -> int:
        """Device memory that the graphs hold; part of what torch calls reserved."""
        return sum(
            segment["total_size"]
            for segment in torch.cuda.memory_snapshot()
            if tuple(segment.get("segment_pool_id", ())) == tuple(self._pool)
        )

    def host_inputs(self, slot: int, shape: PassShape) -> NDArray[np.int32]:
        """See `PassDevice.host_inputs`."""
        buffers = self._slots[slot]
        # The slot is free, so nothing reads or writes the buffers that are replaced.
        buffers.tokens = shape.tokens
        inputs, answer = shape.inputs, self._rows * shape.tokens
        if len(buffers.host_inputs) < inputs:
            buffers.host_inputs = self._buffer(inputs, pinned=True)
        if len(buffers.device_inputs) < inputs:
            buffers.device_inputs = self._buffer(inputs)
        if len(buffers.device_answer) < answer:
            buffers.device_answer = self._buffer(answer)
        if len(buffers.host_answer) < answer:
            buffers.host_answer = self._buffer(answer, pinned=True)
        return buffers.host_inputs[:inputs].numpy()

    def upload(self, slot: int, shape: PassShape) -> None:
        """See `PassDevice.upload`."""
        buffers = self._slots[slot]
        with torch.cuda.stream(self._upload):
            buffers.device_inputs[: shape.inputs].copy_(
                buffers.host_inputs[: shape.inputs], non_blocking=True
            )
            buffers.uploaded.record(self._upload)

    @torch.inference_mode()
    def compute(self, slot: int, shape: PassShape) -> None:
        """See `PassDevice.compute`. Where memory runs out the graphs are let go first."""
        buffers = self._slots[slot]
        with torch.cuda.stream(self._compute):
            self._compute.wait_event(buffers.uploaded)
            answer = self._run(buffers.device_inputs[: shape.inputs], shape)
            buffers.device_answer[: answer.numel()].view(answer.shape).copy_(answer)
            buffers.computed.record(self._compute)

    def download(self, slot: int, shape: PassShape) -> None:
        """See `PassDevice.download`."""
        buffers, size = self._slots[slot], self._rows * shape.tokens
        with torch.cuda.stream(self._download):
            self._download.wait_event(buffers.computed)
            buffers.host_answer[:size].copy_(buffers.device_answer[:size], non_blocking=True)
            buffers.downloaded.record(self._download)

    def wait(self, slot: int) -> NDArray[np.int32]:
        """See `PassDevice.wait`."""
        buffers = self._slots[slot]
        buffers.downloaded.synchronize()
        answer = buffers.host_answer[: self._rows * buffers.tokens].numpy()
        return answer.reshape(self._rows, buffers.tokens)

    def settle(self) -> None:
        """See `PassDevice.settle`."""
        torch.cuda.synchronize(self._device)

    def give_back(self) -> bool:
        """See `PassDevice.give_back`: the memory of the captured graphs."""
        if not self._graphs:
            return False
        self.let_graphs_go()
        return True

    def let_graphs_go(self) -> None:
        """Give the graphs' memory back. Blocks until what runs is done."""
        self.settle()
        self._graphs.clear()
        if self._policy is not None:
            self._policy.memory_ran_out()
        self._pool = torch.cuda.graph_pool_handle()
        torch.cuda.empty_cache()

    def _buffer(self, size: int, pinned: bool = False) -> torch.Tensor:
        return torch.empty(
            _BUFFER_LADDER.rung(size),
            dtype=torch.int32,
            device=None if pinned else self._device,
            pin_memory=pinned,
        )

    def _run(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        way = Way.EAGER if self._policy is None else self._policy.way(shape)
        if way is Way.EAGER or (way is Way.CAPTURE and not self._capture(shape)):
            return self._run_eagerly(inputs, shape)
        captured = self._graphs[shape]
        captured.inputs.copy_(inputs)
        captured.graph.replay()
        return captured.answer

    def _run_eagerly(self, inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        try:
            return self._program(inputs, shape)
        except RuntimeError as error:
            if not is_out_of_memory(error) or not self._graphs:
                raise
        # Out here the error is gone, and with it the frames that hold the tensors.
        _log.warning(
            "out of memory in a pass of %d tokens; the memory of %d captured graphs is given back",
            shape.tokens,
            len(self._graphs),
        )
        self.let_graphs_go()
        return self._program(inputs, shape)

    def _capture(self, shape: PassShape) -> bool:
        """Whether there is a graph of this shape now."""
        assert self._policy is not None
        try:
            captured = self._capture_graph(shape)
        except RuntimeError as error:
            reason = None if is_out_of_memory(error) else first_line(error)
        else:
            self._graphs[shape] = captured
            gone = self._policy.captured(shape)
            if gone:
                self.settle()
            for old in gone:
                del self._graphs[old]
            return True
        if reason is None:
            self._policy.refused(shape)
            _log.warning("no memory to capture a pass of %d tokens; it runs eagerly", shape.tokens)
        else:
            self._policy.gave_up()
            _log.warning("passes cannot be captured and run eagerly: %s", reason)
        # What was captured in part.
        gc.collect()
        torch.cuda.empty_cache()
        return False

    def _capture_graph(self, shape: PassShape) -> _Captured:
        # Not of the pool: a graph that runs in between may write over what is in it.
        inputs = torch.zeros(shape.inputs, dtype=torch.int32, device=self._device)
        graph = torch.cuda.CUDAGraph()
        # Other threads may call CUDA meanwhile, which is no error.
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._compute, capture_error_mode="thread_local"
        ):
            answer = self._program(inputs, shape)
        return _Captured(graph, inputs, answer)
