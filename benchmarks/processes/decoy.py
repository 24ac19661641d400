"""An admin port with no worker behind it: `python -m benchmarks.processes.decoy`.

Writes its port, and goes on until standard input ends.
"""

from __future__ import annotations

import sys

from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry


def main() -> None:
    """Answer."""
    registry = new_registry()
    Metrics(registry)
    server = AdminServer("127.0.0.1", 0, registry, lambda: Health(True, True))
    server.start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main()
