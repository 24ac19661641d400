"""Hundreds of thousands of inputs for everything that reads a stranger's bytes.

Guided by coverage (atheris, which is libFuzzer), each target in a process of its own. A fault is an
exception that is no answer, an input that takes more than a second of a core, or more memory than
the bound; its input is kept, and the command that runs it again is told. Ends with 1 then.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.process_figures import machine
from tests.faults.run_record import RunRecord, versions
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

#: Memory of a process with everything imported and one input.
MEMORY_BOUND_MIB = 512

#: Longest input in bytes; libFuzzer begins with short ones.
MOST_BYTES = 16_384

#: Seconds without an answer after which the process is ended; by the clock, so that a busy machine
#: is no fault. What an input may take of a core is `tests.fuzz.child.MOST_CPU_S`.
HANG_S = 30

_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")
_COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a target.

    Attributes:
        inputs: that were run; covered: edges of the code that they reached.
        slowest_s: most seconds of a core that one took.
        fault: the last lines of a run that ended badly; empty where all is well.
    """

    target: str
    inputs: int
    covered: int
    slowest_s: float
    peak_mib: int
    seconds: float
    fault: str

    @property
    def row(self) -> str:
        """The figures in a cell."""
        return (
            f"{self.inputs:,} inputs, {self.covered:,} edges, slowest {self.slowest_s * 1000:.0f} "
            f"ms, {self.peak_mib} MiB, {self.seconds:.0f} s"
        )


def fuzzed(target: str, inputs: int, seconds: int, faults: Path, seed: int) -> Result:
    """Run one target until a fault or one of its limits."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, value in enumerate(seeds_of(target)):
            (corpus / f"seed-{number}").write_bytes(value)
        slowest = Path(folder, "slowest")
        begun = time.monotonic()
        options = {
            "runs": inputs,
            "max_total_time": seconds,
            "max_len": MOST_BYTES,
            "timeout": HANG_S,
            "rss_limit_mb": MEMORY_BOUND_MIB,
            "seed": seed,
            "print_final_stats": 1,
            "artifact_prefix": f"{faults}/{target}-",
        }
        flags = [f"-{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.child", target, str(slowest), *flags, str(corpus)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        said = done.stdout + done.stderr
        statistics = {name: int(value) for name, value in _STATISTIC.findall(said)}
        return Result(
            target=target,
            inputs=statistics.get("number_of_executed_units", 0),
            covered=max(map(int, _COVERED.findall(said)), default=0),
            slowest_s=float(slowest.read_text()) if slowest.exists() else 0.0,
            peak_mib=statistics.get("peak_rss_mb", 0),
            seconds=time.monotonic() - begun,
            fault="" if done.returncode == 0 else "\n".join(said.splitlines()[-60:]),
        )


def record_of(results: Sequence[Result]) -> RunRecord:
    """What a run is remembered by."""
    atheris = next(iter(importlib.metadata.distributions(name="atheris")), None)
    total = sum(result.inputs for result in results)
    return RunRecord(
        title="Everything that reads a stranger's bytes",
        told=(
            "Written by `make fuzz-decoders`: inputs found by coverage (atheris), from seeds of "
            "our own generators, for each target of `tests/fuzz/targets.py`. A fault is an "
            "exception that is no answer to the person who sent the bytes, an output that cannot "
            "be right, more than 1 s of a core for an input, or more memory than "
            f"{MEMORY_BOUND_MIB} MiB for the process. Inputs have up to {MOST_BYTES:,} bytes."
        ),
        figures={
            **{f"`{result.target}`": result.row for result in results},
            "inputs in all": f"{total:,}",
            "faults": str(sum(bool(result.fault) for result in results)),
            "machine": machine(),
            "versions": f"{versions()}, atheris {atheris.version if atheris else None}",
        },
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=100_000, help="for each target")
    parser.add_argument("--seconds", type=int, default=600, help="for each target, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=Path, default=Path("build/fuzz"), metavar="FOLDER")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the result there")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed; make fuzz-decoders installs it")
    asked.faults.mkdir(parents=True, exist_ok=True)
    results = []
    for target in asked.targets or TARGETS:
        result = fuzzed(target, asked.inputs, asked.seconds, asked.faults, asked.seed)
        results.append(result)
        print(f"{target:18} {result.row}", flush=True)
        if result.fault:
            print(f"{result.fault}\nfuzz: {target} is broken; see {asked.faults}", flush=True)
    if any(result.fault for result in results):
        return 1
    if asked.record is not None:
        record_of(results).write(asked.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
