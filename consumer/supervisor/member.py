"""What runs in a worker that a supervisor has started."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from consumer.app import introduce, serve
from consumer.contracts.errors import MessagesGone, NerstreamError
from consumer.contracts.ports import Tagger
from consumer.settings.schema import Settings
from consumer.signals import EndSignals
from consumer.supervisor.crew import GONE
from consumer.supervisor.reporter import Reporter
from consumer.telemetry.logs import configure_logging
from consumer.telemetry.metrics import Metrics


def work(number: int, settings: Settings, pipe: Connection, tagger: Tagger | None) -> int:
    """Work until the supervisor says so, or is gone; the exit code.

    Args:
        number: of this worker, for the log.
        tagger: what all share; None where each loads its own.
    """
    configure_logging(settings.log_format, settings.log_level, worker=number)
    reporter = Reporter(pipe)

    def works() -> None:
        reporter.works(_room(settings, tagger))

    # A signal that comes by itself asks for a drain; the second is the supervisor's to give.
    with EndSignals(force=lambda: None) as signals:
        try:
            return serve(
                settings,
                lambda: reporter.orders(signals),
                None if tagger is None else _given(tagger),
                reporter.show,
                endpoint=reporter.open,
                working=works,
            )
        except MessagesGone as gone:
            reporter.failed(str(gone))
            return GONE
        except NerstreamError as failure:
            reporter.failed(str(failure))
            return failure.exit_code
        except BaseException as failure:
            traceback.print_exc()
            reporter.failed(repr(failure))
            return 1


def _given(tagger: Tagger) -> Callable[[Settings, Metrics], Tagger]:
    def load(settings: Settings, metrics: Metrics) -> Tagger:
        del settings
        introduce(tagger, metrics)
        return tagger

    return load


def _room(settings: Settings, tagger: Tagger | None) -> int | None:
    if tagger is not None or settings.device == "cpu":
        return None
    # Imported here: it imports torch, which this worker has done by now.
    from consumer.tagging.engine.device_memory import room_for_more

    return room_for_more(settings.device)
