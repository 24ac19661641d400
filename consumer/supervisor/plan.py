"""How many workers fill a machine, and how they share it. No thread, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Cores of one worker where nobody says how many threads it has. A worker's Python takes a tenth of
#: a millisecond for an article, and a core tens of them for the model: a worker alone keeps far
#: more cores busy. More workers part the work of a large machine, and what ends with one of them.
CORES_A_WORKER = 16

#: On a GPU: workers, and processes that tokenise beside each. On an H100 with 16 cores they brought
#: 92 % of what the model does alone; one worker brought 51 %.
WORKERS_A_DEVICE, TOKENIZER_PROCESSES = 4, 3

#: Memory of one worker beside the weights, in bytes: activations, what is in flight, torch.
BYTES_A_WORKER = 3 * 2**29

#: Share of the memory that is left to everything else.
SPARE = 0.1


@dataclass(frozen=True, slots=True)
class Ground:
    """What the workers are to share.

    Attributes:
        device: `cpu` or `cuda`.
        cores: that this process may use.
        memory_bytes: that is free; None where it is not known.
        partitions: of the input; None where it is not known.
    """

    device: str
    cores: int
    memory_bytes: int | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided.

    Attributes:
        workers: how many.
        threads: of each, as the setting has them.
        tokenizer_processes: of each.
        because: what bounds the number, for a person.
        is_shared: whether the workers share the weights that one process has loaded.
    """

    workers: int
    threads: int
    tokenizer_processes: int
    because: str
    is_shared: bool


def planned(workers: int | None, threads: int, tokenizer_processes: int, ground: Ground) -> Plan:
    """The plan.

    Args:
        workers: as the setting has it; None is `auto`.
        threads: as the setting has them; 0 for each core one, over all workers.
        tokenizer_processes: as the setting has them, of each worker.
    """
    if ground.device != "cpu":
        return _on_a_device(workers, threads, tokenizer_processes, ground)
    because = "workers"
    if workers is None:
        if threads:
            wanted, because = max(1, ground.cores // threads), f"{threads} threads each"
        else:
            wanted = max(1, math.ceil(ground.cores / CORES_A_WORKER))
            because = f"{CORES_A_WORKER} cores each"
        workers, because = _bounded(wanted, f"{ground.cores} cores, {because}", ground)
    each = threads or max(1, ground.cores // workers)
    # Processes that tokenise belong to the worker that has started them.
    return Plan(workers, each, tokenizer_processes, because, tokenizer_processes == 0)


def _on_a_device(
    workers: int | None, threads: int, tokenizer_processes: int, ground: Ground
) -> Plan:
    if workers is not None:
        return Plan(workers, threads, tokenizer_processes, "workers", False)
    each = 1 + (tokenizer_processes or TOKENIZER_PROCESSES)
    wanted = max(1, min(WORKERS_A_DEVICE, ground.cores // each))
    because = f"{WORKERS_A_DEVICE} fill a GPU; {ground.cores} cores, {each} each"
    workers, because = _bounded(wanted, because, ground)
    if workers > 1 and not tokenizer_processes:
        tokenizer_processes = TOKENIZER_PROCESSES
    return Plan(workers, threads, tokenizer_processes, because, False)


def _bounded(wanted: int, because: str, ground: Ground) -> tuple[int, str]:
    """No more than there is work and memory for."""
    if ground.memory_bytes is not None:
        room = max(1, int(ground.memory_bytes * (1 - SPARE)) // BYTES_A_WORKER)
        if room < wanted:
            wanted, because = room, f"{ground.memory_bytes / 2**30:.1f} GiB of memory are free"
    if ground.partitions is not None and 0 < ground.partitions < wanted:
        wanted, because = ground.partitions, f"the input has {ground.partitions} partitions"
    return wanted, because


def too_many(workers: int, partitions: int | None) -> str | None:
    """What to tell where some workers will have nothing to read; None where all may have."""
    if not partitions or workers <= partitions:
        return None
    return (
        f"{workers} workers for an input of {partitions} partitions: {workers - partitions} will "
        "have nothing to read; add partitions, or take fewer workers"
    )
