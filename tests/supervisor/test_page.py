"""The page at `/workers` of a supervisor."""

from __future__ import annotations

import re

from consumer.supervisor.page import Row, workers_page
from consumer.telemetry.admin.messages import Request
from consumer.telemetry.gathered import Family, Sample


def published(count: float) -> tuple[Family, ...]:
    name = "nerstream_articles_published_total"
    return (Family(name, "", "counter", (Sample(name, {}, count),)),)


def test_the_page_has_each_worker_and_the_sum() -> None:
    rows = {
        1: Row(101, "working", 0, (), published(1_500)),
        2: Row(None, "awaited", 2, ("it is <awaited>",), ()),
        3: Row(103, "working", 0, (), published(700)),
    }
    answer = workers_page(lambda: rows)(Request("/workers"))
    body = answer.body.decode()
    assert answer.status == 200
    assert "<td>101</td><td>working</td>" in body
    assert "<td>1,500</td>" in body
    assert "<td>2,200</td>" in body
    assert "2 of 3 ready" in body
    assert "it is &lt;awaited&gt;" in body
    assert "<script" not in body
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_its_links_hold_behind_a_path() -> None:
    body = workers_page(dict)(Request("/workers")).body.decode()
    assert re.findall(r'href="([^"]*)">([^<]*)<', body) == [
        ("./", "/"),
        ("metrics", "/metrics"),
        ("healthz", "/healthz"),
        ("readyz", "/readyz"),
    ]


def test_the_page_is_there_before_there_are_workers() -> None:
    body = workers_page(dict)(Request("/workers")).body.decode()
    assert "0 of 0 ready" in body
