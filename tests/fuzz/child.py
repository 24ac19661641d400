"""One target under atheris (libFuzzer), in a process of its own: `python -m tests.fuzz.child`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import atheris

#: What is watched for coverage: ours, and the libraries of pure Python that read for us.
WATCHED = (
    "consumer.audit",
    "consumer.codec",
    "consumer.commands.tag",
    "consumer.contracts",
    "consumer.dead_letters",
    "consumer.evaluation",
    "consumer.settings.paths",
    "jmespath",
)

#: Seconds of a core that one input may take.
MOST_CPU_S = 1.0


class TooSlow(Exception):
    """An input took more of a core than it may."""


def main(arguments: Sequence[str]) -> None:
    """Fuzz until libFuzzer's own limits; a fault ends the process with libFuzzer's code.

    Args:
        arguments: the target, a file for the longest time of an input, and libFuzzer's own.
    """
    name, slowest_path, *rest = arguments
    with atheris.instrument_imports(include=list(WATCHED)):
        from tests.fuzz.targets import TARGETS

    target, slowest_s, count = TARGETS[name], 0.0, 0
    # What is made once, such as a codec, is no input's time.
    target(b"")

    def one_input(data: bytes) -> None:
        nonlocal slowest_s, count
        count += 1
        begun = time.process_time()
        target(data)
        took_s = time.process_time() - begun
        if took_s > slowest_s:
            slowest_s = took_s
            Path(slowest_path).write_text(f"{slowest_s}\n", encoding="utf-8")
        if took_s > MOST_CPU_S:
            raise TooSlow(f"an input of {len(data)} bytes took {took_s:.2f} s of a core")

    atheris.Setup([f"fuzz {name}", *rest], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
