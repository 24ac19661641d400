"""`nerstream run` with the light tagger and faults that come and go, for what watches a worker:
`python -m tests.support.monitoring.watched_worker FLAGS`.

A fault is on while a file of its name is in the folder that `WATCHED_FOLDER` names. With
`WATCHED_RESTARTS=1` the process starts the worker again whenever it ends, as systemd would.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from consumer.app import serve
from consumer.contracts.choices import RebalanceEvent
from consumer.contracts.errors import NerstreamError
from consumer.contracts.messages import PreparedArticle, TaggingResult
from consumer.contracts.ports import Tagger
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.telemetry.logs import configure_logging
from consumer.telemetry.metrics import Metrics
from tests.faults.workers.light_tagger import LightTagger

#: A model that does not answer.
HOLD = "hold"
#: A device without memory: each batch is halved once.
NO_MEMORY = "no-memory"
#: A group that gives some partition to nobody: with each batch the worker leaves and joins again.
REJOINS = "rejoins"

#: Bytes that the device tells, by kind.
DEVICE_MEMORY = {"allocated": 3 * 2**30, "reserved": 5 * 2**30}

_LOOK_S = 0.05
#: Between the end of a worker and the start of the next.
_RESTART_S = 0.2
_PR_SET_PDEATHSIG = 1


class WatchedTagger(LightTagger):
    """Tags as the light one does, when it may.

    Args:
        folder: where the faults are.
        metrics: hear of what the group is said to do.
    """

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        super().__init__()
        self._hold, self._no_memory = folder / HOLD, folder / NO_MEMORY
        self._rejoins, self._metrics = folder / REJOINS, metrics

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        while self._hold.exists():
            time.sleep(_LOOK_S)
        if self._rejoins.exists():
            self._metrics.rebalanced(RebalanceEvent.REJOINED, 0)
        result = super().tag(articles, progress)
        if not self._no_memory.exists():
            return result
        return replace(
            result, shares=tuple(replace(one, out_of_memory_splits=1) for one in result.shares)
        )


def load(_: Settings, metrics: Metrics) -> Tagger:
    """As the command's own: the metrics tell of model and device."""
    tagger = WatchedTagger(Path(os.environ["WATCHED_FOLDER"]), metrics)
    metrics.models_loaded(tagger.models)
    metrics.watch_device_memory(lambda: DEVICE_MEMORY)
    return tagger


def run() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    settings = load_settings(parser.parse_args(), os.environ)
    configure_logging(settings.log_format, settings.log_level)
    try:
        with EndSignals() as signals:
            return serve(settings, signals, load)
    except NerstreamError as failure:
        print(f"nerstream: error: {failure}", file=sys.stderr)
        return failure.exit_code


def run_again_and_again() -> int:
    """A worker after the other, each a process of its own, forked so that it starts at once."""
    while True:
        child = os.fork()
        if child == 0:
            # It must not outlive this process, however that ends.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            return run()
        os.waitpid(child, 0)
        time.sleep(_RESTART_S)


if __name__ == "__main__":
    sys.exit(run_again_and_again() if os.environ.get("WATCHED_RESTARTS") else run())
