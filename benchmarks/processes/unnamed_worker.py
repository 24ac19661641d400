"""The null worker whose outputs do not name their input.

`python -m benchmarks.processes.unnamed_worker FLAGS`. All else is as it is. What
`benchmarks.source_header` holds the worker against.
"""

from __future__ import annotations

import sys

from benchmarks.processes import null_worker
from consumer.contracts.messages import Headers, Position
from consumer.kafka.sink import kafka_sink


def _unnamed(headers: Headers, position: Position) -> list[tuple[str, bytes | None]]:
    """An output's headers without the one that names its input."""
    del position
    return list(headers)


def main() -> int:
    """The exit code of the command."""
    vars(kafka_sink)["with_source"] = _unnamed
    return null_worker.main()


if __name__ == "__main__":
    sys.exit(main())
