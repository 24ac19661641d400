"""`nerstream run --workers N` with the light tagger.

`python -m tests.faults.workers.light_workers FLAGS`; as `light_worker`, with the
supervisor, its template and its workers as they are.
"""

from __future__ import annotations

import argparse
import os
import sys

from consumer.contracts.errors import NerstreamError
from consumer.settings.flags import add_settings_arguments
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.supervisor.supervisor import run_workers
from consumer.telemetry.logs import configure_logging
from tests.faults.workers.light_tagger import load_light


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    try:
        settings = load_settings(parser.parse_args(), os.environ)
        configure_logging(settings.log_format, settings.log_level)
        with EndSignals() as signals:
            return run_workers(settings, signals, load_light)
    except NerstreamError as failure:
        print(f"nerstream: error: {failure}", file=sys.stderr)
        return failure.exit_code


if __name__ == "__main__":
    sys.exit(main())
