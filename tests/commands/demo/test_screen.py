"""What the demo prints, without a broker or a model."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace

import pytest

from consumer.commands.demo.screen import JsonLines, Summary, TerminalScreen
from consumer.commands.entity_colors import highlighted, style_of
from consumer.console import SafeConsole
from consumer.contracts.messages import ModelInfo, Position, RawMessage, TopicPartition
from consumer.contracts.safe_text import safe
from tests.support.planted import WITH_NUL, harm_in


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
    return TerminalScreen(SafeConsole(file=out, width=120)), out


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


#: Text that is hard on offsets and on terminals, and what stands before and behind an entity.
HARD = {
    "bidirectional": ("\u202eabc\u2066 ", "\u202c."),
    "zero-width": ("a\u200b\u200d\ufeffb ", "\u00ad"),
    "marks": ("e" + "\u0301" * 60 + " ", "\u0301" * 40),
    "controls": ("\x00\x07\x08\x1b[2J\x7f\x9b ", "\x0b\x0c\r"),
    "private and unassigned": ("\ue000\U000e0041\ufffe ", "\U0010ffff"),
    "lone surrogates": ("\ud800 ", "\udfff"),
    "composed and not": ("\u00e9e\u0301 ", " e\u0301"),
    "lines": ("a\n\u2028\x85\tb ", "\r\n"),
}


@pytest.mark.parametrize("kind", HARD)
def test_entities_in_hard_text_are_coloured_where_they_stand(kind: str) -> None:
    before, behind = HARD[kind]
    name = f"Zoë{before[:3]}Ab"
    text = f"{before}{name}{behind} end"
    entity = {"type": "PER", "start": len(before), "end": len(before) + len(name)}
    shown = highlighted(text, [entity], 200)
    (span,) = shown.spans
    one_line = str.maketrans(dict.fromkeys("\r\n\t", " "))
    assert shown.plain[span.start : span.end] == safe(name.translate(one_line))
    out = io.StringIO()
    SafeConsole(file=out, width=2_000, force_terminal=True).print(shown)
    assert harm_in(out.getvalue(), styled=True) == []


def test_an_entity_beyond_the_text_colours_nothing_else() -> None:
    text = highlighted("Ana", [{"type": "PER", "start": 2, "end": 900}], 200)
    assert [(span.start, span.end) for span in text.spans] == [(2, 3)]


def test_ten_thousand_marks_are_shown_in_bounded_space() -> None:
    text = "e" + "\u0301" * 10_000
    shown = highlighted(text, [{"type": "PER", "start": 0, "end": 10_001}], 200)
    assert sum(one == "\u0301" for one in shown.plain) == 30


def test_a_rejected_message_and_a_model_forge_nothing() -> None:
    shows, out = screen()
    shows.begin(ModelInfo(WITH_NUL, "r", "cpu", "float32", (WITH_NUL,)), 4)
    plant = WITH_NUL.encode()
    shows.rejected(message(plant + b"\xff", code=plant, message=plant + b"\xff"))
    document = {"id": WITH_NUL, "body": WITH_NUL, "entities": []}
    shows.tagged(message(json.dumps(document).encode()))
    shows.end(replace(summary([0.1]), entities_by_type=Counter({WITH_NUL: 1})))
    assert harm_in(out.getvalue()) == []
    assert "[bold]markup[/bold]" in out.getvalue().replace("\n", "")
