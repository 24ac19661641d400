"""What a fuzz of the targets is remembered by: a page, and beside it the figures of each run."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.long_runs.process_figures import machine
from tests.faults.long_runs.run_record import RunRecord, versions

#: Memory of a process with everything imported and one input.
MEMORY_BOUND_MIB = 512

#: Longest input in bytes; libFuzzer begins with short ones.
MOST_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a target.

    Attributes:
        inputs: that were run; covered: edges of the code that they reached.
        slowest_s: most seconds of a core that one took.
        fault: the last lines of a run that ended badly; empty where all is well.
        seed: of the run; one of a target with another seed is another run.
    """

    target: str
    inputs: int
    covered: int
    slowest_s: float
    peak_mib: int
    seconds: float
    fault: str
    seed: int = 1

    @property
    def row(self) -> str:
        """The figures in a cell."""
        return (
            f"{self.inputs:,} inputs, {self.covered:,} edges, slowest {self.slowest_s * 1000:.0f} "
            f"ms, {self.peak_mib} MiB, {self.seconds:.0f} s"
        )


def with_runs(known: Iterable[Result], added: Iterable[Result]) -> list[Result]:
    """The runs with others added; one of the same target and seed takes the place of the former."""
    runs = {(run.target, run.seed): run for run in (*known, *added)}
    return list(runs.values())


def joined(runs: Sequence[Result]) -> Result:
    """Runs of one target as one."""
    return Result(
        target=runs[0].target,
        inputs=sum(run.inputs for run in runs),
        covered=max(run.covered for run in runs),
        slowest_s=max(run.slowest_s for run in runs),
        peak_mib=max(run.peak_mib for run in runs),
        seconds=sum(run.seconds for run in runs),
        fault="\n".join(run.fault for run in runs if run.fault),
    )


def record_of(results: Sequence[Result], order: Sequence[str]) -> RunRecord:
    """What runs are remembered by.

    Args:
        order: names of the targets, as the page lists them.
    """
    atheris = next(iter(importlib.metadata.distributions(name="atheris")), None)
    rows = {}
    for target in order:
        runs = [run for run in results if run.target == target]
        rows[f"`{target}`"] = joined(runs).row if runs else "not run yet"
    return RunRecord(
        title="Everything that reads a stranger's bytes",
        told=(
            "Written by `make fuzz-decoders`: inputs found by coverage (atheris), from seeds of "
            "our own generators and from what earlier runs found, for each target of "
            "`tests/fuzz/targets.py`. Where a million inputs take some minutes a target has about "
            "as many; those have fewer that parse a schema for each input, or that libFuzzer "
            "watches in much pure "
            "Python. A fault is an exception that is no answer to the person who sent the bytes, "
            "an output that cannot be right, more than 1 s of a core for an input, or more memory "
            f"than {MEMORY_BOUND_MIB} MiB for the process. Inputs have up to {MOST_BYTES:,} bytes."
        ),
        figures={
            **rows,
            "inputs in all": f"{sum(run.inputs for run in results):,}",
            "faults": str(sum(bool(run.fault) for run in results)),
            "machine": machine(),
            "versions": f"{versions()}, atheris {atheris.version if atheris else None}",
        },
    )


def figures_of(page: Path) -> Path:
    """The file with the figures of a page's runs."""
    return page.with_suffix(".json")


def known_runs(page: Path) -> list[Result]:
    """The runs that a page tells of; none where there is none."""
    figures = figures_of(page)
    if not figures.exists():
        return []
    return [Result(**run) for run in json.loads(figures.read_text("utf-8"))]


def write(page: Path, runs: Sequence[Result], order: Sequence[str]) -> None:
    """Write the page and its figures."""
    ordered = sorted(runs, key=lambda run: (order.index(run.target), run.seed))
    figures_of(page).write_text(json.dumps([asdict(run) for run in ordered], indent=1) + "\n")
    record_of(ordered, order).write(page)
