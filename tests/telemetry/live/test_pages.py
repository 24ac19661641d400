"""The page and what it asks, over the admin server; how it looks is `test_browser`'s."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256

import pytest

from consumer.settings.schema import Settings
from consumer.telemetry.admin.messages import Answer, Request
from consumer.telemetry.admin.server import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.live.live import live_from
from consumer.telemetry.live.page import document
from consumer.telemetry.live.pages import live_pages
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    registry = new_registry()
    Metrics(registry)
    health = Health(True, False, ("the model is being loaded",))
    live = live_from(Settings(), registry, lambda: health)
    live.sample()
    server = AdminServer("127.0.0.1", 0, registry, lambda: health, live_pages(live))
    server.start()
    yield server.port
    server.close()


def ask(port: int, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_page_is_one_document_under_a_strict_policy(port: int) -> None:
    status, headers, body = ask(port, "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    html = body.decode()
    directives = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert directives[f"{tag}-src"] == (
            f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        )
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    # The one address in it is the name of SVG, which nobody asks.
    assert set(re.findall(r"https?://[^\"'`\s]+", html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|eval|document\.write)\b", html)
    assert "{{" not in html
    assert len(body) < 60_000


def test_the_page_is_made_of_its_sources() -> None:
    assert document(()) == document(())
    # Also where another server hands it out.
    assert "frame-ancestors 'none'" in document(()).policy


def test_the_page_links_to_the_others_that_are_there(port: int) -> None:
    def links(body: bytes) -> list[str]:
        (nav,) = re.findall(r"<nav.*?</nav>", body.decode(), re.DOTALL)
        return re.findall(r'href="([^"]*)"', nav)

    assert links(ask(port, "/")[2]) == ["metrics", "healthz", "readyz"]
    registry = new_registry()
    live = live_from(Settings(), registry, lambda: Health(True, True))
    pages = live_pages(live, {"/workers": lambda _: Answer(b"all of them", "text/plain")})
    assert pages["/workers"](Request("/workers")).body == b"all of them"
    assert links(pages["/"](Request("/")).body) == ["workers", "metrics", "healthz", "readyz"]


def test_changes_are_json(port: int) -> None:
    status, headers, body = ask(port, "/live.json?after=12.5&number=3&boot=x")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    answer = json.loads(body)
    assert answer["state"] == {
        "kind": "waiting",
        "sentence": "Waiting: the model is being loaded.",
        "reasons": [],
    }


@pytest.mark.parametrize("query", ["after=x", "after=nan", "after=inf", "number=1.5"])
def test_a_question_that_makes_no_sense_is_told(port: int, query: str) -> None:
    status, _, body = ask(port, f"/live.json?{query}")
    assert status == 400
    assert "after must be seconds since the epoch" in json.loads(body)["error"]


def test_empty_parameters_are_none(port: int) -> None:
    assert ask(port, "/live.json?after=&number=&boot=")[0] == 200
    assert ask(port, "/live.json")[0] == 200
