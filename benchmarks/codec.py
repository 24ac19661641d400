"""What reading and writing a message costs, by where its text is: `python -m benchmarks.codec`.

Each shape of message runs in a process of its own, in turns of a tenth of a second with plain
names in a message that is otherwise the same, and plain names with those in the tree of an earlier
commit where one is named. What counts is the
ratio of the two rates of a turn, of which the median is taken: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Pairs of processes, one after the other, for each ratio.
PAIRS = 10
SHAPES = ("members", "lists", "ninjs")


def main() -> None:
    """Measure all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="the codec, by the shape of messages")
    parser.add_argument("--before", help="a commit whose plain names are measured beside ours")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    ratios: dict[str, float] = {}
    with contextlib.ExitStack() as trees:
        if asked.before:
            old = trees.enter_context(tree_of(asked.before))
            ratios["names, of before"] = ratio((ROOT, "names"), (old, "names"), asked.turns)
        for shape in SHAPES:
            names = (ROOT, f"names-{shape}")
            ratios[f"{shape}, of names"] = ratio((ROOT, shape), names, asked.turns)
    for name, value in ratios.items():
        print(f"{name:20} {value:.3f}")
    if asked.record:
        record = {
            "benchmark": "codec",
            "machine": asked.machine,
            "before": asked.before,
            "article_bytes": 2_048,
            "turns": asked.turns,
            "ratios": {name: round(value, 3) for name, value in ratios.items()},
        }
        asked.record.write_text(json.dumps(record, indent=2) + "\n")


def ratio(one: tuple[Path, str], other: tuple[Path, str], turns: int) -> float:
    """The rate of one to that of the other, each a tree and a shape: the median of the turns."""
    found = []
    # Two processes of one program differ by some percent: where its objects happen to lie.
    for _ in range(PAIRS):
        with burst(*one) as first, burst(*other) as second:
            for turn in range(turns // PAIRS):
                order = (first, second) if turn % 2 else (second, first)
                rates = {id(process): _rate(process) for process in order}
                found.append(rates[id(first)] / rates[id(second)])
    return statistics.median(found)


@contextlib.contextmanager
def burst(tree: Path, shape: str) -> Iterator[subprocess.Popen[str]]:
    """The other half of the benchmark, waiting to be told."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "processes" / "codec_burst.py"),
        str(tree),
        shape,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree
    ) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


def _rate(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline())


@contextlib.contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "consumer", "schemas"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


if __name__ == "__main__":
    main()
