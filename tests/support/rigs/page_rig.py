"""A live page over the real admin server, of a worker that is played."""

from __future__ import annotations

import time
from typing import Any

import orjson

from consumer.contracts.choices import (
    RebalanceEvent,
    RejectCode,
    RejectStage,
    Switch,
    TransactionOutcome,
)
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Position,
    RawMessage,
    Rejected,
    TaggedArticle,
    TextField,
    TopicPartition,
)
from consumer.settings.schema import Settings
from consumer.telemetry.admin.messages import Answer, Page
from consumer.telemetry.admin.server import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.live.feed import Feed
from consumer.telemetry.live.live import Live, facts_of
from consumer.telemetry.live.pages import live_pages
from consumer.telemetry.live.reading import needed_of
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry

TYPES = ("LOC", "MISC", "ORG", "PER")


class PageRig:
    """Serves the page of a worker whose quarter of an hour is made up in a moment.

    Args:
        port: to serve on; 0 takes a free one.
        is_of_many: as the page of a supervisor, which shows no articles and links to `/workers`.
        settings: of the worker; articles are shown unless they say otherwise.
    """

    def __init__(
        self,
        port: int = 0,
        types: tuple[str, ...] = TYPES,
        is_of_many: bool = False,
        **settings: Any,
    ) -> None:
        self.health = Health(alive=True, ready=True)
        self._ahead_s = 0.0
        defaults: dict[str, Any] = {"admin_show_text": Switch.ON, "batch_tokens": 1_000}
        chosen = Settings(**(defaults | settings))
        registry = new_registry()
        self.model = ModelInfo("played", "r", "cpu", "int8", types)
        self.metrics = Metrics(registry, clock=lambda: time.time() + self._ahead_s)
        self.metrics.models_loaded([self.model])
        shows_text = chosen.admin_show_text is Switch.ON and not is_of_many
        self.feed = Feed(self._clock) if shows_text else None
        others: dict[str, Page] = {"/workers": lambda _: Answer(b"all of them", "text/plain")}
        self.live = Live(
            needed_of(registry), lambda: self.health, facts_of(chosen), self.feed, self._clock
        )
        self._offset = 0
        self._server = AdminServer(
            "127.0.0.1",
            port,
            registry,
            lambda: self.health,
            live_pages(self.live, others if is_of_many else None),
        )
        self._server.start()

    def _clock(self) -> float:
        return time.monotonic() + self._ahead_s

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def port(self) -> int:
        """Of the server."""
        return self._server.port

    def flow(self, steps: int = 180, lag: int = 3, topic: str = "articles") -> None:
        """So many steps of five seconds in which a hundred messages come and go, the last of them
        just now."""
        places = [TopicPartition(topic, number) for number in range(3)]
        self.metrics.rebalanced(RebalanceEvent.ASSIGNED, len(places))
        self.live.sample()
        for step in range(steps + 1):
            if step < steps:
                self._ahead_s += 5.0
            self.metrics.consumed(100, 60_000)
            self.metrics.batch_closed(10, 700 + step, 0.01)
            for stage, seconds in (("poll", 0.01), ("prepare", 0.2), ("tag", 1.5)):
                self.metrics.stage_seconds(stage, seconds)
            rejected = {RejectCode.NO_TEXT: 2}
            entities = dict.fromkeys(self.model.types, 40)
            latencies = [0.02 + number / 500 for number in range(98)]
            self.metrics.committed(98, 0, rejected, {}, entities, latencies)
            self.metrics.stage_seconds("commit", 0.02)
            self.metrics.transaction_ended(TransactionOutcome.COMMITTED)
            self.metrics.in_flight(lag, 1_000 * lag)
            self.metrics.lag({place: lag + place.partition for place in places})
            self.metrics.partitions_moved(places, time.time() + self._ahead_s)
            if step < steps:
                self.live.sample()

    def arrive(self, lag: int) -> None:
        """So many messages have come in just now, at a worker that has done nothing yet."""
        place = TopicPartition("articles", 0)
        self.metrics.rebalanced(RebalanceEvent.ASSIGNED, 1)
        # However long a browser takes to come.
        self.metrics.partitions_moved([place], time.time() + 3_600)
        self.live.sample()
        self._ahead_s += 5.0
        self.metrics.lag({place: lag})
        self.live.sample()

    def article(self, title: str, body: str, entities: list[tuple[str, str, str]]) -> None:
        """One that was sent.

        Args:
            entities: field, type and text of each, in the order of the text.
        """
        self._ahead_s += 1.1
        texts = {"title": title, "body": body}
        fields = tuple(TextField(name, text) for name, text in texts.items())
        found = []
        for field, kind, text in entities:
            start = texts[field].index(text)
            found.append(Entity(field, kind, text, start, start + len(text), 0.9))
        article = Article(self._raw(b"{}"), f"id-{self._offset}", fields)
        assert self.feed is not None
        self.feed.note(TaggedArticle(article, tuple(found), 20, self.model))

    def rejected(self, value: bytes, why: str) -> None:
        """One that became a dead letter."""
        self._ahead_s += 1.1
        assert self.feed is not None
        self.feed.note(Rejected(self._raw(value), RejectCode.NO_TEXT, why, RejectStage.PREPARE))

    def answer(self) -> Any:
        """What the page is told."""
        return orjson.loads(self.live.answer())

    def close(self) -> None:
        """Stop answering."""
        self._server.close()

    def _raw(self, value: bytes) -> RawMessage:
        self._offset += 1
        position = Position(TopicPartition("articles", 0), self._offset)
        return RawMessage(position, None, value, (), int(time.time() * 1000), 1)
