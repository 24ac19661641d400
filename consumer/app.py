"""Runs the worker as a process: from its settings, until a signal, to an exit code."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn

import structlog

from consumer import __version__
from consumer.contracts.errors import (
    DeviceFailed,
    KafkaProblem,
    MessagesGone,
    ModelError,
    NerstreamError,
    RegistryProblem,
    SettingsError,
)
from consumer.contracts.messages import Outcome
from consumer.contracts.ports import Codec, Shadow, Tagger
from consumer.contracts.runs import RunProgress, told_gone
from consumer.contracts.traces import Tracer
from consumer.kafka.internal_topics import InternalTopics
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.source.source import KafkaSource
from consumer.loading import keeping_answers, refined, taggers_from, worker_codec_from
from consumer.settings.schema import Settings
from consumer.shadow.loading import ShadowLoading
from consumer.start_check import check_start
from consumer.telemetry.endpoint import AdminPort, Endpoint
from consumer.telemetry.health import Health
from consumer.telemetry.logs import adopt_library_loggers
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from consumer.terminal import tell_failure
from consumer.tracing import tracing_from
from consumer.worker import Worker

#: Objects that may be made before garbage is collected: more than are ever in flight.
GARBAGE_OBJECTS = 50_000

#: Seconds between two looks for signals while the model is loaded.
_LOOK_S = 0.05

#: Exit code of a bounded run that a signal stopped before its end: that of a shell for SIGTERM.
STOPPED = 143

log = structlog.get_logger(__name__)


def serve(
    settings: Settings,
    signals: Callable[[], int],
    load: Callable[[Settings, Metrics], Tagger] | None = None,
    show: Callable[[RunProgress | None], None] = lambda _: None,
    *,
    endpoint: Callable[[Settings, Any, Callable[[], Health]], Endpoint] = AdminPort,
    working: Callable[[], None] = lambda: None,
) -> int:
    """Load the model, join the group, work until `signals` counts one or a stage fails.

    The endpoints answer from the first moment, so that a probe sees a worker that loads its
    model as alive and not ready. The group is joined last: a worker that cannot tag yet must
    not hold partitions.

    Args:
        load: gives the tagger; None takes the model that the settings name.
        show: told some ten times a second how far the bounded run is.
        endpoint: makes what tells of metrics and health, of the settings, the registry and the
            health.
        working: called once the model is loaded and the producer is ready.

    Returns:
        0; or `STOPPED` where a bounded run was stopped before its end, so that whoever started it
        does not take it for done.

    Raises:
        MessagesGone: a bounded run is at its end, and some of it was gone before it was read.
    """
    settings = settings.for_run()
    stopped = STOPPED if settings.is_bounded else 0
    started = time.monotonic()
    worker: Worker | None = None

    def health() -> Health:
        if worker is None:
            return Health(alive=True, ready=False, reasons=("the model is being loaded",))
        return worker.state()

    registry = new_registry()
    metrics = Metrics(registry)
    admin = endpoint(settings, registry, health)
    admin.start()
    tracing = loading = shadow = None
    try:
        if admin.port is not None:  # else a supervisor has said it, for all of its workers
            log.info("starting", version=__version__, admin_port=admin.port, **shown(settings))
        codec = check_start(settings, os.environ)
        tracing = tracing_from(settings, os.environ, metrics)
        # Beside the model, since neither knows how long the other takes. Nobody waits for it: what
        # it finds may be over by then, and where it is not, the worker says it again.
        threading.Thread(
            target=_look_at_brokers, args=(settings,), name="nerstream-look", daemon=True
        ).start()
        if settings.shadow_model:
            loading = ShadowLoading(settings)
        if load is None:
            tagger = load_tagger(settings, metrics, signals)
        else:
            tagger = refined(load(settings, metrics), settings)
        if loading is not None:
            if loading.model(signals) is None:
                raise StoppedLoading
            shadow = loading.shadow(metrics)
            shadow.start()
        worker = build_worker(
            settings,
            metrics,
            tagger,
            keeping_answers(codec, settings, tagger.models),
            started,
            None if tracing is None else tracing.tracer,
            admin.sent,
            shadow,
        )
        # What is loaded by now, a million objects with torch, stays to the end. Each collection
        # that looked through it would hold up every thread for a tenth of a second.
        gc.collect()
        gc.freeze()
        # Few objects are in flight, and none in cycles: to look for cycles took 4 % of the time.
        gc.set_threshold(GARBAGE_OBJECTS, 20, 10)
        log.info("model loaded", seconds=round(time.monotonic() - started, 1))
        worker.start(signals)
        if worker.can_write:
            working()
        worker.wait(signals, show)
        if worker.running:
            # Stopped before the producer was ready; a stage is still in the client.
            log.info("stopped before anything was read")
            _end(stopped)
        log.info("drained, left the group")
        run = worker.run
        if not settings.is_bounded:
            return 0
        if run is not None and run.state.is_complete:
            if run.state.gone:
                raise MessagesGone(told_gone(settings.group_id, run.state.gone))
            return 0
        log.warning("the run was stopped before its end; start it again to go on")
        return stopped
    except StoppedLoading:
        log.info("stopped while the model was being loaded")
        _end(stopped)
    except MessagesGone as gone:
        log.error("the run has ended", error=str(gone))
        raise
    except NerstreamError as failure:
        # Where a setting, a broker or a model is to blame, the sentence says all. A trace would
        # only show where a library noticed it.
        told = isinstance(failure, (SettingsError, KafkaProblem, RegistryProblem, ModelError))
        log.error("worker failed", error=str(failure), exc_info=None if told else failure.__cause__)
        if worker is not None and (worker.running or isinstance(failure, DeviceFailed)):
            # A stage hangs, in a forward pass perhaps. To end the interpreter around it could hang
            # too, and around a broken device it can crash, with another exit code. Nothing
            # uncommitted is lost by ending at once.
            tell_failure(failure)
            _end(failure.exit_code)
        raise
    finally:
        if shadow is not None:
            shadow.close()
        elif loading is not None:
            loading.close()
        if tracing is not None:
            tracing.close()
        admin.close()


def _look_at_brokers(settings: Settings) -> None:
    if obstacles := InternalTopics(settings).obstacles(guesses=False):
        log.warning("the brokers cannot serve a worker yet", reasons=obstacles)


def _end(code: int) -> NoReturn:
    """End the process, although one of its threads is busy in a library."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


class StoppedLoading(Exception):
    """A signal came while the model was loading; the thread that loads it goes on."""


def load_tagger(
    settings: Settings, metrics: Metrics, signals: Callable[[], int] = lambda: 0
) -> Tagger:
    """Load the model, and have the metrics tell of it and of its device.

    Args:
        signals: how many signals to end have come. Loading cannot be interrupted, only left.

    Raises:
        ModelError: the model cannot be loaded.
        StoppedLoading: a signal came meanwhile.
    """
    tagger = refined(loaded_taggers(settings, signals), settings)
    introduce(tagger, metrics)
    return tagger


def introduce(tagger: Tagger, metrics: Metrics) -> None:
    """Have the metrics tell of a model that was loaded, and of its device."""
    # The model's libraries bring log handlers of their own when they are first imported.
    adopt_library_loggers()
    metrics.models_loaded(tagger.models)
    # Imported here: it imports torch, which is there by now where it is needed.
    from consumer.tagging.engine.device_memory import device_memory_reader

    memory = device_memory_reader(tagger.models[0].device)
    if memory is not None:
        metrics.watch_device_memory(memory)


def loaded_taggers(settings: Settings, signals: Callable[[], int] = lambda: 0) -> Tagger:
    """The model, or the models, that the settings name. Blocks.

    A thread of its own loads it, and then ends. OpenMP keeps threads for each thread that ever
    computed. Once these are more than the cores, they no longer wait for each other awake. With the
    loading thread still there, passes in another thread take a third longer.

    Args:
        signals: as for `load_tagger`.

    Raises:
        ModelError, StoppedLoading: as `load_tagger`.
    """
    loaded: Future[Tagger] = Future()

    def run() -> None:
        try:
            loaded.set_result(taggers_from(settings))
        except BaseException as failure:  # raised below, by the thread that waits
            loaded.set_exception(failure)

    thread = threading.Thread(target=run, name="nerstream-load", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        if signals():
            raise StoppedLoading
    return loaded.result()


def build_worker(
    settings: Settings,
    metrics: Metrics,
    tagger: Tagger,
    codec: Codec | None = None,
    began_at: float | None = None,
    tracer: Tracer | None = None,
    sent: Callable[[Outcome], None] | None = None,
    shadow: Shadow | None = None,
) -> Worker:
    """Put a worker together; connects to nothing yet.

    Args:
        codec: reads and writes messages; None makes the one that the settings name.
        began_at, tracer, sent, shadow: as for `Worker`.

    Raises:
        SettingsError: a librdkafka property is wrong.
    """
    source = KafkaSource(settings)
    return Worker(
        settings,
        source=source,
        sink=make_sink(settings, source),
        tagger=tagger,
        codec=codec or keeping_answers(worker_codec_from(settings), settings, tagger.models),
        observer=metrics,
        began_at=began_at,
        tracer=tracer,
        sent=sent,
        shadow=shadow,
    )


def shown(settings: Settings) -> dict[str, object]:
    """The settings that are not at their default, secrets masked."""
    defaults = Settings().shown()
    others = {name: value for name, value in settings.shown().items() if value != defaults[name]}
    return {"settings": others}
