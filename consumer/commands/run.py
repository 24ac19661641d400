"""`nerstream run`: the worker, from its settings to its exit code."""

from __future__ import annotations

import argparse
import os

from consumer.app import serve
from consumer.settings.flags import add_settings_arguments
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.telemetry.logs import configure_logging


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag."""
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the worker until SIGTERM or SIGINT; 0 when it has drained.

    Raises:
        NerstreamError: see `consumer.contracts.errors`; the command line prints it and exits.
    """
    with EndSignals() as signals:
        settings = load_settings(arguments, os.environ)
        configure_logging(settings.log_format, settings.log_level)
        return serve(settings, signals)
