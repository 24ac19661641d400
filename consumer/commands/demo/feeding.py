"""What goes into the demo: its settings, and the articles at their rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

from consumer.contracts.choices import Delivery
from consumer.settings.schema import Settings

#: Articles a second with `--serve`, where the command line does not say it: as many as one can
#: follow.
SERVED_RATE = 8.0


def demo_settings(bootstrap_servers: str, model: str, **others: Any) -> Settings:
    """The settings of the demo's worker."""
    return Settings(
        bootstrap_servers=bootstrap_servers,
        model=model,
        # The embedded broker has no real transactions; see `consumer.kafka.tools.embedded`.
        delivery=Delivery.AT_LEAST_ONCE,
        # Small batches, so that the articles stream by instead of coming out in one piece.
        batch_tokens=1_024,
        # A file of one's own may be all wrong; the demo is there to show it.
        dead_letter_max_ratio=1.0,
        **others,
    )


class Feeding(threading.Thread):
    """Puts the articles in at their rate, beside the loop that shows what comes out.

    Args:
        rate: articles a second; 0 puts in all at once.
        again: whether they begin anew when they have come to their end, until `end`.
    """

    def __init__(
        self, settings: Settings, lines: Sequence[bytes], rate: float, *, again: bool = False
    ) -> None:
        super().__init__(name="nerstream-demo-feed", daemon=True)
        self._settings = settings
        self._lines: Iterable[bytes] = cycle(lines) if again else lines
        self._rate = rate
        self._ended = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        from consumer.kafka.tools.writer import TopicWriter

        try:
            with TopicWriter(self._settings, self._settings.input_topics[0]) as writer:
                writer.open()
                started = time.monotonic()
                for number, line in enumerate(self._lines):
                    if self._ended.is_set():
                        break
                    if self._rate:
                        writer.wait(started + number / self._rate - time.monotonic())
                    writer.send(line, str(number).encode())
                writer.flush()
        except Exception as failure:  # raised by `check`, on the thread that shows
            self._failure = failure

    def end(self) -> None:
        """Put in nothing more. Blocks until what was put in is there."""
        self._ended.set()
        self.join()

    def check(self) -> None:
        """Raise what went wrong."""
        if self._failure is not None:
            raise self._failure
