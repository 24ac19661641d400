"""`nerstream demo --serve`: the demo's worker goes on, and its page shows it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from consumer.commands.demo.feeding import Feeding, demo_settings
from consumer.commands.demo.screen import Screen
from consumer.contracts.choices import Switch
from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin.configured import admin_from
from consumer.telemetry.health import Health
from consumer.telemetry.live.live import live_from
from consumer.telemetry.live.pages import live_pages
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from consumer.worker import Worker

#: Only those on this machine see the articles.
HOST = "127.0.0.1"


def serve(
    lines: Sequence[bytes],
    model: str,
    rate: float,
    port: int,
    screen: Screen,
    signals: Callable[[], int],
) -> int:
    """Tag the articles over and over until `signals` counts one.

    The page answers from the first second on, and shows that the model is being loaded.

    Args:
        port: of the page; 0 takes a free one.

    Returns:
        0.

    Raises:
        SettingsError: the port cannot be had.
        NerstreamError: the worker failed.
    """
    worker: Worker | None = None

    def health() -> Health:
        if worker is None:
            return Health(alive=True, ready=False, reasons=("the model is being loaded",))
        return worker.state()

    if not 0 <= port <= 65_535:
        raise SettingsError("--port", f"{port} is no port", "give one from 1 to 65535, or 0")
    screen.status("starting the embedded broker")
    # Imported here: librdkafka takes a while, and the person should see something first.
    from consumer.kafka.tools.embedded import EmbeddedBroker

    with ExitStack() as ends:
        broker = ends.enter_context(EmbeddedBroker())
        settings = demo_settings(
            broker.bootstrap_servers,
            model,
            admin_host=HOST,
            admin_port=port,
            admin_show_text=Switch.ON,
        )
        broker.create_topics(*settings.input_topics)
        registry = new_registry()
        metrics = Metrics(registry)
        live = live_from(settings, registry, health)
        try:
            admin = admin_from(settings, registry, health, live_pages(live))
        except SettingsError as wrong:
            raise SettingsError("--port", wrong.problem, wrong.remedy) from wrong
        ends.callback(live.close)
        ends.callback(admin.close)
        live.start()
        admin.start()
        screen.served(f"http://{HOST}:{admin.port}/")
        # Imported here: torch takes seconds, in which the page is there already.
        from consumer.app import StoppedLoading, build_worker, load_tagger

        try:
            tagger = load_tagger(settings, metrics, signals)
        except StoppedLoading:
            # The thread that loads goes on, and the interpreter must not end around it.
            ends.close()
            sys.stdout.flush()
            os._exit(0)
        worker = build_worker(settings, metrics, tagger, sent=live.sent)
        worker.start(signals)
        feed = Feeding(settings, lines, rate, again=True)
        feed.start()
        while not (signals() or worker.failed):
            feed.check()
            time.sleep(0.1)
        feed.end()
        worker.stop()
        worker.wait(signals)
    return 0
