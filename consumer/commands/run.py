"""`nerstream run`: the worker, from its settings to its exit code."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from consumer.contracts.choices import AlreadyTagged
from consumer.contracts.errors import SettingsError
from consumer.contracts.runs import RunProgress
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals


def _unseen(_: RunProgress | None) -> None:
    """Nobody looks on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag, and what is about this command alone."""
    add_settings_arguments(parser)
    group = parser.add_argument_group("Of this command alone")
    group.add_argument(
        "--only-other-revisions",
        dest="already_tagged",
        action="store_const",
        const=AlreadyTagged.PASS.value,
        help="short for --already-tagged pass: what this model has tagged passes as it is",
    )
    group.add_argument(
        "--progress",
        action="store_true",
        help="of a bounded run (--from, --until): a bar with articles, share, rate and time left "
        "on standard error; a line every ten seconds where that is no terminal",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the worker until SIGTERM or SIGINT, or to the end of its run; 0 when it has drained.

    Raises:
        NerstreamError: see `consumer.contracts.errors`; the command line prints it and exits.
    """
    # Imported here, so that `--help` waits for no client library.
    from consumer.app import serve
    from consumer.telemetry.logs import configure_logging

    with EndSignals() as signals:
        settings = load_settings(arguments, os.environ)
        configure_logging(settings.log_format, settings.log_level)
        several = settings.worker_count != 1
        if not arguments.progress:
            return _run_workers(settings, signals) if several else serve(settings, signals)
        if not settings.is_bounded:
            raise SettingsError(
                "--progress", "the worker has no end to go to", "add --from or --until, or leave it"
            )
        from consumer.commands.run_progress import shown_progress

        with shown_progress() as show:
            if several:
                return _run_workers(settings, signals, show)
            return serve(settings, signals, show=show)


def _run_workers(
    settings: Settings, signals: EndSignals, show: Callable[[RunProgress | None], None] = _unseen
) -> int:
    # Imported here: one worker alone does without.
    from consumer.supervisor.supervisor import run_workers

    return run_workers(settings, signals, show=show)
