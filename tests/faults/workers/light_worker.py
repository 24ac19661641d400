"""`nerstream run` with the light tagger: `python -m tests.faults.workers.light_worker FLAGS`.

All but the tagger is the command's own: settings, signals, endpoints, stages, Kafka. It starts
in a second, since it needs no torch. With `TWO_MODELS=1` it has two models behind one tagger.
"""

from __future__ import annotations

import argparse
import os
import sys

from consumer.app import serve
from consumer.contracts.errors import NerstreamError
from consumer.settings.flags import add_settings_arguments
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.telemetry.logs import configure_logging
from tests.faults.workers.light_tagger import LightTagger, TwoLightTaggers


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    settings = load_settings(parser.parse_args(), os.environ)
    configure_logging(settings.log_format, settings.log_level)
    try:
        with EndSignals() as signals:
            tagger = TwoLightTaggers() if os.environ.get("TWO_MODELS") else LightTagger()
            return serve(settings, signals, lambda _settings, _metrics: tagger)
    except NerstreamError as failure:
        print(f"nerstream: error: {failure}", file=sys.stderr)
        return failure.exit_code


if __name__ == "__main__":
    sys.exit(main())
