"""The pages that the admin port gets from a `Live`: `/` and what it asks, `/live.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from consumer.telemetry.admin.messages import Answer, Page, Request, error_answer
from consumer.telemetry.live.live import Live
from consumer.telemetry.live.page import document


def live_pages(live: Live, others: Mapping[str, Page] | None = None) -> dict[str, Page]:
    """The pages by path, for `AdminServer`.

    Args:
        others: further pages by path, which the page links to.

    Raises:
        OSError: a file of the page is missing; the installation is incomplete.
    """
    others = others or {}
    shown = document([*others, "/metrics", "/healthz", "/readyz"])
    page = Answer(
        shown.body,
        "text/html; charset=utf-8",
        headers={"Content-Security-Policy": shown.policy, "Referrer-Policy": "no-referrer"},
    )

    def changes(request: Request) -> Answer:
        asked = {name: values[-1] for name, values in request.query.items() if values}
        try:
            after = float(asked.get("after") or 0)
            number = int(asked.get("number") or 0)
        except ValueError:
            after = math.nan
        if not math.isfinite(after):
            return error_answer(
                HTTPStatus.BAD_REQUEST,
                "after must be seconds since the epoch and number a whole number, as in "
                "/live.json?after=0&number=0",
            )
        return Answer(live.answer(after, number, asked.get("boot", "")), "application/json")

    return {"/": lambda _: page, "/live.json": changes, **others}
