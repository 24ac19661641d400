"""What the live page costs a worker: processor time while nobody looks, and while somebody does.

`python -m benchmarks.live_page` plays a worker whose metrics move, and counts the processor time of
its process without the page, with it, and with a client in another process that asks as the page
does, once a second. The difference is what the page costs; a busy machine does not change it much.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from consumer.contracts.choices import Switch
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Outcome,
    Position,
    RawMessage,
    TaggedArticle,
    TextField,
    TopicPartition,
)
from consumer.settings.schema import Settings
from consumer.telemetry.admin.server import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.live.live import Live, live_from
from consumer.telemetry.live.pages import live_pages
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry

#: Asks once a second what is new, as the page does; its processor time is not the worker's.
_CLIENT = """
import http.client, json, sys, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
connection = http.client.HTTPConnection("127.0.0.1", port)
boot, after, number, end = "", 0, 0, time.monotonic() + seconds
while time.monotonic() < end:
    connection.request("GET", f"/live.json?boot={boot}&after={after}&number={number}")
    answer = json.loads(connection.getresponse().read())
    boot = answer["boot"]
    after = answer["points"][-1]["t"] if answer["points"] else after
    time.sleep(1)
"""


class Played:
    """A worker whose metrics move, without Kafka and a model.

    Args:
        partitions: how many are assigned.
        shows_text: whether articles are shown.
    """

    def __init__(self, partitions: int, shows_text: bool) -> None:
        self.registry = new_registry()
        self.metrics = Metrics(self.registry)
        self.model = ModelInfo("played", "r", "cpu", "int8", ("LOC", "MISC", "ORG", "PER"))
        self.metrics.models_loaded([self.model])
        self._places = [TopicPartition("articles", number) for number in range(partitions)]
        self.settings = Settings(admin_show_text=Switch.ON if shows_text else Switch.OFF)
        self._article = self._made()

    def move(self, live: Live | None) -> None:
        """What happens in a tenth of a second of a quick worker, as far as metrics tell it."""
        self.metrics.consumed(100, 60_000)
        self.metrics.lag(dict.fromkeys(self._places, 3))
        for stage in ("poll", "prepare", "tag", "publish", "commit"):
            self.metrics.stage_seconds(stage, 0.01)
        self.metrics.committed(100, 0, {}, {}, {"PER": 200}, [0.05] * 100)
        if live is not None and live.sent is not None:
            for _ in range(100):
                live.sent(self._article)

    @contextmanager
    def served(self) -> Iterator[tuple[Live, int]]:
        """The page, with the quarter of an hour full."""
        health = Health(alive=True, ready=True)
        live = live_from(self.settings, self.registry, lambda: health)
        for _ in range(200):
            live.sample()
        server = AdminServer("127.0.0.1", 0, self.registry, lambda: health, live_pages(live))
        live.start()
        server.start()
        yield live, server.port
        server.close()
        live.close()

    def _made(self) -> Outcome:
        text = "Ana Lima of Oslo said that nothing was said. " * 30
        found = tuple(
            Entity("body", "PER", "Ana Lima", start, start + 8, 0.9)
            for start in range(0, len(text), 45)
        )
        raw = RawMessage(Position(self._places[0], 7), None, text.encode(), (), 1, 1)
        return TaggedArticle(Article(raw, "id", (TextField("body", text),)), found, 300, self.model)


def cost_s(played: Played, live: Live | None, seconds: float) -> float:
    """Processor time of this process for so many seconds of the worker's life."""
    began, end = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < end:
        played.move(live)
        time.sleep(0.1)
    return time.process_time() - began


def measured(played: Played, seconds: float, rounds: int) -> dict[str, float]:
    """Processor time by state, in milliseconds a second; states take turns."""
    spent = {"without the page": 0.0, "nobody looks": 0.0, "one looks": 0.0}
    for _ in range(rounds):
        spent["without the page"] += cost_s(played, None, seconds)
        with played.served() as (live, port):
            spent["nobody looks"] += cost_s(played, live, seconds)
            command = [sys.executable, "-c", _CLIENT, str(port), str(seconds)]
            with subprocess.Popen(command):
                spent["one looks"] += cost_s(played, live, seconds)
    return {state: 1000 * total / rounds / seconds for state, total in spent.items()}


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description="What the live page costs a worker.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each state in a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=16)
    arguments = parser.parse_args()
    for shows_text in (False, True):
        played = Played(arguments.partitions, shows_text)
        ms = measured(played, arguments.seconds, arguments.rounds)
        base = ms["without the page"]
        print(
            json.dumps(
                {
                    "partitions": arguments.partitions,
                    "admin_show_text": shows_text,
                    "ms_a_second": {state: round(value, 2) for state, value in ms.items()},
                    "share_of_a_core": {
                        state: f"{(value - base) / 10:.2f} %"
                        for state, value in ms.items()
                        if state != "without the page"
                    },
                }
            )
        )


if __name__ == "__main__":
    main()
