"""What the demo prints, without a broker or a model."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest
from rich.console import Console

from consumer.commands.demo.screen import JsonLines, Summary, TerminalScreen
from consumer.commands.entity_colors import highlighted, style_of
from consumer.contracts.messages import ModelInfo, Position, RawMessage, TopicPartition


def message(value: bytes | None, **headers: bytes) -> RawMessage:
    pairs = tuple((f"__nerstream.errors.{name}", text) for name, text in headers.items())
    return RawMessage(Position(TopicPartition("out", 0), 0), None, value, pairs, None, 0)


def summary(latencies_s: list[float]) -> Summary:
    return Summary(
        articles=3,
        rejected=1,
        entities_by_type=Counter(PER=2, LOC=1),
        seconds=2.0,
        model_seconds=0.5,
        tokens=1000,
        latencies_s=latencies_s,
        offered_rate=20,
    )


def screen() -> tuple[TerminalScreen, io.StringIO]:
    out = io.StringIO()
    return TerminalScreen(Console(file=out, width=120, highlight=False)), out


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 51.0), (99, 100.0), (100, 100.0)])
def test_percentiles_by_nearest_rank(percent: float, expected: float) -> None:
    assert summary([float(n) for n in range(100, 0, -1)]).latency_s(percent) == expected
    assert summary([]).latency_s(percent) == 0.0


def test_entities_are_coloured_where_they_stand_also_when_cut_off() -> None:
    text = "Ana\tLima saw Oslo and Rome"
    entities = [
        {"type": "PER", "start": 0, "end": 8},
        {"type": "LOC", "start": 13, "end": 17},
        {"type": "LOC", "start": 22, "end": 26},
    ]
    shown = highlighted(text, entities, 15)
    assert shown.plain == "Ana Lima saw Os …"
    spans = [(span.start, span.end, span.style) for span in shown.spans]
    assert spans[:2] == [(0, 8, style_of("PER")), (13, 15, style_of("LOC"))]
    assert len(spans) == 3  # and the dim ellipsis


def test_other_types_have_a_style_that_stays() -> None:
    assert style_of("DRUG") == style_of("DRUG") != style_of("PER")


def test_articles_rejections_null_values_and_figures() -> None:
    shows, out = screen()
    shows.status("starting")
    shows.begin(ModelInfo("m", "r", "cpu", "float32", ("LOC", "PER")), 4)
    entities = [{"field": "body", "type": "PER", "text": "Ana", "start": 0, "end": 3, "score": 1}]
    shows.tagged(message(json.dumps({"id": "1", "body": "Ana [b]", "entities": entities}).encode()))
    shows.tagged(message(None))
    shows.rejected(message(b'{"id"', code=b"invalid_json", message=b"not JSON [sic]"))
    shows.end(summary([0.1, 0.2]))
    text = out.getvalue()
    for expected in (
        "4 articles, model m on cpu (float32)",
        "Ana [b]",
        "1 entities",
        "null value",
        "rejected: invalid_json",
        "not JSON [sic]",
        '{"id"',
        "3 tagged, 1 rejected",
        "PER 2",
        "2.0 (put in at 20 a second)",
        "500; while the model ran (25% of the time) 2,000",
        "p50 200 ms, p99 200 ms",
    ):
        assert expected in text, expected


def test_json_lines_are_one_line_each(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    shows = JsonLines()
    shows.status("unseen")
    shows.tagged(message(b'{"id": "1",\n "body": "x"}'))
    shows.tagged(message(b'{ "id" : "2" }'))
    shows.rejected(message(b"x", code=b"invalid_json", message=b"why"))
    out, error = capfdbinary.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": "1", "body": "x"},
        {"id": "2"},
    ]
    assert out.splitlines()[1] == b'{ "id" : "2" }'
    assert error == b"rejected (invalid_json): why\n"
