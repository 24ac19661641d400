"""`nerstream run` with a tagger that does nothing.

`python -m benchmarks.processes.null_worker FLAGS`
"""

from __future__ import annotations

import argparse
import os
import sys

from consumer.app import serve
from consumer.bench.worker.taggers import NullTagger
from consumer.contracts.ports import Tagger
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.tagging.routed import RoutedTagger
from consumer.telemetry.logs import configure_logging


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    settings = load_settings(parser.parse_args(), os.environ)
    configure_logging(settings.log_format, settings.log_level)
    with EndSignals() as signals:
        return serve(settings, signals, lambda settings, _metrics: _tagger(settings))


def _tagger(settings: Settings) -> Tagger:
    """One that does nothing, or one for each language that has a model."""
    if not settings.models:
        return NullTagger()
    return RoutedTagger({language: NullTagger() for language in settings.models})


if __name__ == "__main__":
    sys.exit(main())
