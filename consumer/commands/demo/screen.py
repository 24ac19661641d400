"""What a person, or with `--json` a program, sees of `nerstream demo`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.commands.entity_colors import highlighted, style_of
from consumer.console import SafeConsole
from consumer.contracts.headers import ERRORS
from consumer.contracts.messages import ModelInfo, RawMessage
from consumer.contracts.safe_text import safe, safe_bytes
from consumer.terminal import tell, write_message

#: Characters of a text field that the screen shows.
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """The demo in figures.

    Attributes:
        seconds: from the first article in to the last out.
        model_seconds: the part of it in which the model ran.
        tokens: tokens that the model read.
        latencies_s: of each article, from its way into the broker to its way out.
        offered_rate: articles a second that were put in; 0 is all at once.
    """

    articles: int
    rejected: int
    entities_by_type: Counter[str]
    seconds: float
    model_seconds: float
    tokens: int
    latencies_s: Sequence[float]
    offered_rate: float

    def latency_s(self, percent: float) -> float:
        """The latency that so many percent of the articles do not exceed (nearest rank)."""
        ranked = sorted(self.latencies_s)
        if not ranked:
            return 0.0
        return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


class Screen(Protocol):
    """Shows what happens, in the order in which it happens."""

    def status(self, text: str) -> None:
        """What is being done before the first article."""

    def served(self, address: str) -> None:
        """Where the page is, from now on."""

    def begin(self, model: ModelInfo, articles: int) -> None:
        """The worker is about to start."""

    def tagged(self, message: RawMessage) -> None:
        """A message of the output topic."""

    def rejected(self, message: RawMessage) -> None:
        """A message of the dead-letter topic."""

    def end(self, summary: Summary) -> None:
        """Every article is out."""


class JsonLines:
    """Tagged messages on standard output, one JSON object a line; all else on standard error."""

    def status(self, text: str) -> None:
        """Nothing."""

    def served(self, address: str) -> None:
        """Nothing."""

    def begin(self, model: ModelInfo, articles: int) -> None:
        """Nothing."""

    def tagged(self, message: RawMessage) -> None:
        """The message as it is, on one line."""
        value = message.value or b"null"
        if b"\n" in value:
            # An article may be spread over lines; white space between its members is free.
            value = orjson.dumps(orjson.loads(value))
        write_message(value, sys.stdout)
        sys.stdout.flush()

    def rejected(self, message: RawMessage) -> None:
        """Its code and reason, on standard error."""
        code, reason = _reason(message)
        tell(f"rejected ({code}): {reason}")

    def end(self, summary: Summary) -> None:
        """Nothing."""


class TerminalScreen:
    """Articles with their entities coloured by type, rejected ones with their reasons."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or SafeConsole()
        self._number = 0

    def status(self, text: str) -> None:
        """One dim line."""
        self._console.print(Text(f"{text} ...", style="dim"))

    def served(self, address: str) -> None:
        """The address, on a line of its own, as terminals make a link of it."""
        self._console.print(Text.assemble("The worker's page: ", (address, "bold")))
        self._console.print(Text("Ctrl-C ends it.", "dim"))

    def begin(self, model: ModelInfo, articles: int) -> None:
        """The model, and which colour is which type."""
        legend = Text("  ").join(
            Text(f" {safe(name)} ", style=style_of(name)) for name in model.types
        )
        self._console.print(
            Text.assemble(
                f"{articles} articles, model {safe(model.name)} on {model.device} "
                f"({model.dtype})  ",
                legend,
            )
        )

    def tagged(self, message: RawMessage) -> None:
        """The title and the beginning of the body, entities in colour."""
        self._number += 1
        if message.value is None:
            self._console.print(Text(f"{self._number:>3}  (null value, passed through)", "dim"))
            return
        document: dict[str, Any] = orjson.loads(message.value)
        entities = document["entities"]
        title = Text(f"{self._number:>3}  ", style="dim")
        names = dict.fromkeys(entity["field"] for entity in entities)
        texts = [name for name in ("title", "body", *names) if isinstance(document.get(name), str)]
        for place, name in enumerate(dict.fromkeys(texts)):
            own = [entity for entity in entities if entity["field"] == name]
            text = highlighted(document[name], own, EXCERPT_CHARACTERS)
            if place == 0:
                text.stylize("bold")
                self._console.print(title + text)
            else:
                self._console.print(Text("     ") + text)
        rest = len(entities)
        self._console.print(Text(f"     {rest} entities", style="dim"))

    def rejected(self, message: RawMessage) -> None:
        """The code, the reason and the beginning of the original bytes."""
        self._number += 1
        code, reason = _reason(message)
        original = safe_bytes((message.value or b"")[:60])
        self._console.print(
            Text.assemble(
                (f"{self._number:>3}  ", "dim"),
                (f" rejected: {safe(code)} ", "bold white on red"),
                f"  {safe(reason)}\n     ",
                (original, "dim"),
            )
        )

    def end(self, summary: Summary) -> None:
        """The figures."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_row("articles", f"{summary.articles} tagged, {summary.rejected} rejected")
        counts = summary.entities_by_type
        entities = Text(f"{counts.total()}  ")
        for name, count in sorted(counts.items()):
            entities.append(f" {safe(name)} {count} ", style=style_of(name))
            entities.append(" ")
        table.add_row("entities", entities)
        offered = f" (put in at {summary.offered_rate:g} a second)" if summary.offered_rate else ""
        table.add_row(
            "articles/s", f"{(summary.articles + summary.rejected) / summary.seconds:.1f}{offered}"
        )
        busy = summary.model_seconds / summary.seconds
        table.add_row(
            "tokens/s",
            f"{summary.tokens / summary.seconds:,.0f}; while the model ran ({busy:.0%} of the "
            f"time) {summary.tokens / max(summary.model_seconds, 1e-9):,.0f}",
        )
        table.add_row(
            "latency",
            f"p50 {summary.latency_s(50) * 1000:.0f} ms, p99 {summary.latency_s(99) * 1000:.0f} ms",
        )
        self._console.print()
        self._console.print(table)


def _reason(message: RawMessage) -> tuple[str, str]:
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers}
    return headers.get(f"{ERRORS}code", "?"), headers.get(f"{ERRORS}message", "?")
