"""Which page answers, to whom, with which headers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from consumer.telemetry.admin.credentials import Credentials
from consumer.telemetry.admin.messages import Answer, Request
from consumer.telemetry.admin.site import MOST_HEADERS, Asked, Site, headers_of

TOKEN = "a-token-of-some-length"
BEARER = ("authorization", f"Bearer {TOKEN}")


def page(_: Request) -> Answer:
    return Answer(b"page", "text/plain")


PAGES = {"/": page, "/healthz": page, "/a b": page}


def locked(refused: Callable[[], None] = lambda: None) -> Site:
    credentials = Credentials([TOKEN])
    return Site(PAGES, lambda: credentials, refused)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/?", "/", {}),
        ("/a%20b?x=%31&x=2", "/a b", {"x": ["1", "2"]}),
        ("http://worker:9464/a%20b?x=1", "/a b", {"x": ["1"]}),
        ("http://worker:9464", "/", {}),
    ],
)
def test_the_target_is_read(target: str, path: str, query: dict[str, list[str]]) -> None:
    asked = Site(PAGES).decide("GET", target, [("accept", "a"), ("accept", "b")])
    assert isinstance(asked, Asked)
    assert asked.request == Request(path, query, {"accept": "a, b"}, True)


@pytest.mark.parametrize(
    "target", ["*", "//healthz", "/healthz/", "/../", "http://[/", "/%ff", "", "/\x00"]
)
def test_what_is_not_here(target: str) -> None:
    answer = Site({"/healthz": page}).decide("GET", target, [])
    assert isinstance(answer, Answer)
    assert answer.status == 404
    assert json.loads(answer.body)["error"].endswith("; see /")


def test_what_is_refused() -> None:
    many = [("x", "y")] * (MOST_HEADERS + 1)
    query = "/?" + "&".join(["a=1"] * 65)
    answers = [
        Site(PAGES).decide("POST", "/", []),
        Site(PAGES).decide("GET", "/", [], has_body=True),
        Site(PAGES).decide("GET", "/", many),
        Site(PAGES).decide("GET", query, []),
    ]
    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [
        405,
        413,
        431,
        400,
    ]


def test_nothing_is_told_without_credentials() -> None:
    for target in ("/", "/nothing"):
        answer = locked().decide("GET", target, [])
        assert isinstance(answer, Answer)
        assert answer.status == 401
        assert answer.headers == {"WWW-Authenticate": 'Bearer realm="nerstream"'}
        assert isinstance(locked().decide("GET", "/", [BEARER]), Asked)


def test_probes_are_open_and_say_who_asks() -> None:
    for headers, authenticated in (([], False), ([BEARER], True)):
        asked = locked().decide("GET", "/healthz", headers)
        assert isinstance(asked, Asked)
        assert asked.is_probe
        assert asked.request.authenticated is authenticated


def test_wrong_credentials_are_reported_and_missing_ones_are_not() -> None:
    refused: list[None] = []
    site = locked(lambda: refused.append(None))
    site.decide("GET", "/", [])
    assert not refused
    site.decide("GET", "/", [("authorization", "Bearer wrong")])
    assert len(refused) == 1
    # Two headers are joined, so that no second one is looked at instead of the first.
    twice = site.decide("GET", "/", [("authorization", "Bearer wrong"), BEARER])
    assert isinstance(twice, Answer)


def test_headers_of_every_answer() -> None:
    headers = dict(headers_of(Answer(b"four", "text/plain")))
    assert headers == {
        "Content-Type": "text/plain",
        "Content-Length": "4",
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def test_no_page_lets_itself_be_framed_or_sniffed() -> None:
    own = {
        "content-security-policy": "frame-ancestors *; script-src 'self';; Base-URI 'self'",
        "x-frame-options": "ALLOWALL",
        "X-CONTENT-TYPE-OPTIONS": "sniff",
        "cache-control": "max-age=60",
        "X-More": "1",
    }
    headers = headers_of(Answer(b"", "text/html", headers=own))
    by_name = {name.lower(): value for name, value in headers}
    assert len(by_name) == len(headers)
    assert by_name["content-security-policy"] == (
        "script-src 'self'; Base-URI 'self'; form-action 'none'; frame-ancestors 'none'"
    )
    assert by_name["x-frame-options"] == "DENY"
    assert by_name["x-content-type-options"] == "nosniff"
    assert by_name["cache-control"] == "max-age=60"
    assert by_name["x-more"] == "1"
