"""How many workers fill a machine."""

from __future__ import annotations

import pytest

from consumer.supervisor.plan import BYTES_A_WORKER, Ground, planned, too_many


@pytest.mark.parametrize(
    ("cores", "threads", "workers", "each"),
    [(2, 0, 1, 2), (16, 0, 1, 16), (17, 0, 2, 8), (64, 0, 4, 16), (8, 2, 4, 2), (8, 16, 1, 16)],
)
def test_a_cpu_is_shared_by_its_cores(cores: int, threads: int, workers: int, each: int) -> None:
    plan = planned(None, threads, 0, Ground("cpu", cores))
    assert (plan.workers, plan.threads) == (workers, each)
    assert plan.is_shared
    assert f"{cores} cores" in plan.because


@pytest.mark.parametrize(("workers", "each"), [(1, 8), (3, 2), (8, 1), (20, 1)])
def test_a_number_that_is_given_is_taken(workers: int, each: int) -> None:
    ground = Ground("cpu", 8, memory_bytes=1, partitions=1)
    assert planned(workers, 0, 0, ground).workers == workers
    assert planned(workers, 0, 0, ground).threads == each
    assert planned(workers, 5, 0, ground).threads == 5


@pytest.mark.parametrize(
    ("cores", "tokenizer_processes", "workers", "processes"),
    [(16, 0, 4, 3), (64, 0, 4, 3), (8, 0, 2, 3), (4, 0, 1, 0), (2, 0, 1, 0), (16, 7, 2, 7)],
)
def test_a_gpu_takes_four_with_three_that_tokenise(
    cores: int, tokenizer_processes: int, workers: int, processes: int
) -> None:
    plan = planned(None, 0, tokenizer_processes, Ground("cuda", cores))
    assert (plan.workers, plan.tokenizer_processes) == (workers, processes)
    assert not plan.is_shared, "a device's context cannot be forked"


def test_a_number_for_a_gpu_is_taken_as_it_is() -> None:
    plan = planned(2, 1, 0, Ground("cuda", 64))
    assert (plan.workers, plan.threads, plan.tokenizer_processes) == (2, 1, 0)


def test_processes_that_tokenise_are_not_shared() -> None:
    assert not planned(2, 0, 1, Ground("cpu", 8)).is_shared


@pytest.mark.parametrize(
    ("memory_bytes", "partitions", "workers", "because"),
    [
        (None, None, 8, "cores"),
        (100 * BYTES_A_WORKER, 100, 8, "cores"),
        (4 * BYTES_A_WORKER, 100, 3, "memory"),
        (1, 100, 1, "memory"),
        (100 * BYTES_A_WORKER, 5, 5, "5 partitions"),
        (None, 0, 8, "cores"),
    ],
)
def test_no_more_than_there_is_memory_and_work_for(
    memory_bytes: int | None, partitions: int | None, workers: int, because: str
) -> None:
    plan = planned(None, 1, 0, Ground("cpu", 8, memory_bytes, partitions))
    assert plan.workers == workers
    assert because in plan.because


def test_more_workers_than_partitions_is_told() -> None:
    assert too_many(4, 4) is None
    assert too_many(4, None) is None
    said = too_many(6, 4)
    assert said is not None
    assert "6 workers for an input of 4 partitions: 2 will have nothing to read" in said
