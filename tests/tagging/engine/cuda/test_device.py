"""CudaDevice, without a device: which passes are captured, and what happens without memory."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from consumer.tagging.engine.cuda.capture_policy import CapturePolicy
from consumer.tagging.engine.cuda.device import CudaDevice
from consumer.tagging.engine.cuda.pass_layout import PassLayout, PassShape
from consumer.tagging.engine.cuda.varlen_engine import VarlenEngine
from tests.support.engines.fake_cuda import FakeCuda

LAYOUT = PassLayout(pad_id=0, first_position=3)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return FakeCuda(monkeypatch)


def make(cuda: FakeCuda, policy: CapturePolicy | None) -> tuple[VarlenEngine, CudaDevice]:
    device = CudaDevice(torch.device("cpu"), cuda.program, 2, policy)
    return VarlenEngine(LAYOUT, device), device


def run(engine: VarlenEngine, *sizes: int) -> None:
    """Passes of one window each, two under way at once; checks each answer."""
    running = []
    for number, size in enumerate(sizes):
        ids = np.arange(size, dtype=np.int32) % 30_000 + number
        running.append((engine.start([ids]), ids))
        if len(running) < 2 and number < len(sizes) - 1:
            continue
        for started, expected in [running.pop(0)] if number < len(sizes) - 1 else running:
            answer = started.answer()
            assert np.array_equal(answer.label_ids, expected)
            assert np.array_equal(answer.scores, np.arange(3, 3 + len(expected)))


def test_without_a_policy_every_pass_runs_kernel_by_kernel(cuda: FakeCuda) -> None:
    engine, device = make(cuda, None)
    run(engine, 200, 200, 200, 9_000, 200)
    assert (cuda.eager, cuda.captures, device.graphs) == (5, 0, 0)


def test_a_shape_that_comes_back_is_captured_and_replayed_on_new_inputs(cuda: FakeCuda) -> None:
    engine, device = make(cuda, CapturePolicy())
    run(engine, 230, 250, 231, 900, 240, 900, 235, 900)
    assert (cuda.eager, cuda.captures, cuda.replays) == (2, 2, 6)
    assert device.graphs == 2


def test_the_oldest_graph_goes(cuda: FakeCuda) -> None:
    engine, device = make(cuda, CapturePolicy(sightings=1, most_graphs=2))
    run(engine, 200, 900, 3_000, 900, 200)
    assert (cuda.captures, device.graphs) == (4, 2)


def test_without_memory_to_capture_a_pass_runs_eagerly(
    cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    engine, device = make(cuda, CapturePolicy())
    cuda.capture_fails = torch.OutOfMemoryError("CUDA out of memory")
    run(engine, 200, 200, 200)
    assert (cuda.eager, cuda.captures, device.graphs, cuda.emptied) == (3, 1, 0, 1)
    assert "no memory to capture a pass of 256 tokens" in caplog.text
    cuda.capture_fails = None
    run(engine, 900, 900)
    assert device.graphs == 1


def test_where_capturing_does_not_work_it_is_said_once(
    cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    engine, device = make(cuda, CapturePolicy())
    cuda.capture_fails = RuntimeError("operation not permitted when stream is capturing\nmore")
    run(engine, 200, 200, 900, 900, 900)
    assert (cuda.eager, cuda.captures, device.graphs) == (5, 1, 0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("eagerly: operation not permitted when stream is capturing")


def test_graphs_make_room_for_a_pass_that_finds_no_memory(
    cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    engine, device = make(cuda, CapturePolicy())
    cuda.fits_tokens, cuda.graphs_take_tokens = 2_048, 1_500
    run(engine, 200, 200, 200)
    assert device.graphs == 1
    run(engine, 1_000)
    assert device.graphs == 0
    assert "the memory of 1 captured graphs is given back" in caplog.text
    # The shape must come back four times now, and is captured again then.
    run(engine, 200, 200, 200)
    assert device.graphs == 0
    run(engine, 200)
    assert device.graphs == 1


def test_a_pass_that_fits_in_no_way_leaves_no_graph_behind(cuda: FakeCuda) -> None:
    engine, device = make(cuda, CapturePolicy())
    cuda.fits_tokens = 512
    run(engine, 200, 200)
    with pytest.raises(torch.OutOfMemoryError):
        engine.run([np.zeros(900, dtype=np.int32)])
    assert device.graphs == 0
    run(engine, 200, 300, 400)


def test_an_error_that_is_not_of_memory_is_not_tried_again(cuda: FakeCuda) -> None:
    def broken(inputs: torch.Tensor, shape: PassShape) -> torch.Tensor:
        del inputs, shape
        cuda.eager += 1
        raise RuntimeError("CUDA error: device-side assert triggered")

    device = CudaDevice(torch.device("cpu"), broken, 2, CapturePolicy())
    with pytest.raises(RuntimeError, match="device-side assert"):
        VarlenEngine(LAYOUT, device).run([np.zeros(5, dtype=np.int32)])
    assert cuda.eager == 1


def test_a_pass_is_waited_for_once(cuda: FakeCuda) -> None:
    engine, device = make(cuda, CapturePolicy())
    run(engine, *[200] * 6)
    assert [slot.downloaded.synchronized for slot in device._slots] == [3, 3]  # type: ignore[attr-defined]
    assert [slot.computed.recorded for slot in device._slots] == [3, 3]  # type: ignore[attr-defined]
    assert cuda.synchronized == 1  # for the weights, when the device was made
