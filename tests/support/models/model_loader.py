"""Loads a model on the CPU: `... model_loader NAME REVISION`.

Prints what came of it, its revision or the error, and how many seconds were slept meanwhile.
"""

from __future__ import annotations

import sys
import time

from consumer.contracts.errors import ModelError


def main(name: str, revision: str) -> None:
    from consumer.tagging.select import load_model

    slept, sleep = [0.0], time.sleep

    def counted(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    time.sleep = counted  # type: ignore[assignment]
    try:
        print(load_model(name, revision, "cpu", "float32", 1).info.revision)
    except ModelError as error:
        print(error)
    print(sum(slept))


if __name__ == "__main__":
    main(*sys.argv[1:])
