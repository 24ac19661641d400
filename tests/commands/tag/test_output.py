"""What `nerstream tag` writes of hard text."""

from __future__ import annotations

import io

import pytest

from consumer.codec.article_codec import Codec
from consumer.commands.tag.output import JsonLines, Pretty
from consumer.console import SafeConsole
from consumer.contracts.messages import Article, Entity, TaggedArticle, TextField
from tests.support.fakes import MODEL, raw
from tests.support.planted import WITH_NUL, harm_in


def tagged(text: str, *entities: Entity) -> TaggedArticle:
    article = Article(raw(0, b'{"id": "a", "body": ""}'), WITH_NUL, (TextField("body", text),))
    return TaggedArticle(article, entities, 3, MODEL)


@pytest.mark.parametrize("before", ["", "\u202e\u200b", "\x1b[2J\x07\r", "e" + "\u0301" * 99])
def test_pretty_shows_the_entity_and_harms_nothing(before: str) -> None:
    text = f"{before} Zoë\x9b\u2066 of {WITH_NUL}"
    start = len(before) + 1
    entity = Entity("body", "PER\x1b", text[start : start + 5], start, start + 5, 0.5)
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, color_system="standard", width=80)
    Pretty("-", console).write(tagged(text, entity))
    shown = out.getvalue()
    assert harm_in(shown, styled=True) == []
    lines = shown.splitlines()
    assert all(line.startswith("  ") for line in lines[1:-1])
    assert "Zoë\\x9b\\u2066\x1b[0m" in shown
    assert "PER\\x1b" in shown


def test_an_id_cannot_begin_a_line() -> None:
    out = io.StringIO()
    Pretty("-", SafeConsole(file=out, width=80)).write(tagged("text"))
    assert harm_in(out.getvalue()) == []
    assert "FORGED" in out.getvalue().splitlines()[0]


def test_json_for_a_program_is_the_workers_own() -> None:
    codec = Codec(("body",))
    out = io.BytesIO()
    stream = io.TextIOWrapper(out)
    written = JsonLines("-", stream, codec)
    written.write(tagged("Zoë"))
    written.flush()
    assert out.getvalue().startswith(b'{"id": "a", "body": "","entities":[]')
