"""The pages of every worker, without a server."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from consumer.telemetry.admin.messages import Request
from consumer.telemetry.admin.pages import health_page, index_page
from consumer.telemetry.health import Health


def test_the_index_may_show_its_style_and_nothing_else() -> None:
    answer = index_page(Request("/"))
    style = re.search(rb"<style>(.*)</style>", answer.body, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_the_links_of_the_index_hold_behind_a_path() -> None:
    body = index_page(Request("/")).body.decode()
    assert re.findall(r'href="([^"]*)"', body) == ["metrics", "healthz", "readyz"]


def test_reasons_are_for_those_who_showed_credentials() -> None:
    page = health_page(lambda: Health(False, False, ("topic secret-plans is gone",)), "alive")
    answer = page(Request("/healthz", authenticated=False))
    assert answer.status == 503
    assert json.loads(answer.body) == {
        "alive": False,
        "reasons": ["authenticate to read the reasons"],
    }
    assert b"secret-plans" in page(Request("/healthz")).body


def test_who_is_well_has_no_reasons_to_hide() -> None:
    answer = health_page(lambda: Health(True, True), "ready")(Request("/", authenticated=False))
    assert json.loads(answer.body) == {"ready": True, "reasons": []}
