"""Hundreds of thousands of inputs for everything that reads a stranger's bytes.

Guided by coverage (atheris, which is libFuzzer), each target in a process of its own. A fault is an
exception that is no answer, an input that takes more than a second of a core, or more memory than
the bound; its input is kept, and the command that runs it again is told. Ends with 1 then.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.record import MEMORY_BOUND_MIB, MOST_BYTES, Result, known_runs, with_runs, write
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

#: Seconds without an answer after which the process is ended; by the clock, so that a busy machine
#: is no fault. What an input may take of a core is `tests.fuzz.child.MOST_CPU_S`.
HANG_S = 30

_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")
_COVERED = re.compile(r"cov: (\d+)")


def fuzzed(target: str, inputs: int, seconds: int, faults: Path, seed: int) -> Result:
    """Run one target until a fault or one of its limits.

    Args:
        faults: for inputs that are faults, and for those that reached something new, from which the
            next run begins.
    """
    with tempfile.TemporaryDirectory() as folder:
        corpus = faults / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
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
            seed=seed,
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
    parser.add_argument("--add", action="store_true", help="keep what the record has beside")
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
        known = known_runs(asked.record) if asked.add else []
        write(asked.record, with_runs(known, results), list(TARGETS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
