"""The pages of every worker: `/`, `/metrics`, `/healthz` and `/readyz`."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from consumer.telemetry.admin.messages import Answer, Page, Request, error_answer
from consumer.telemetry.health import Health

log = logging.getLogger(__name__)

#: What an orchestrator asks. These are answered without credentials and before all others.
PROBES = {"/healthz": "alive", "/readyz": "ready"}

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem }
dt { font-family: ui-monospace, monospace } dd { margin: 0 0 1rem 0 }
"""

_INDEX = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>nerstream</title>
<style>{_STYLE}</style>
<h1>nerstream</h1>
<dl>
<dt><a href="metrics">/metrics</a></dt>
<dd>Metrics for Prometheus, as text or OpenMetrics.</dd>
<dt><a href="healthz">/healthz</a></dt>
<dd>200 while the worker makes progress, 503 with the reasons when it does not: restart it.</dd>
<dt><a href="readyz">/readyz</a></dt>
<dd>200 once partitions are assigned, the model is loaded and the producer is ready.</dd>
</dl>
</html>
""".encode()

#: The index may show its own style and nothing else.
_INDEX_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


def index_page(_: Request) -> Answer:
    """The list of what is here."""
    policy = {"Content-Security-Policy": _INDEX_POLICY}
    return Answer(_INDEX, "text/html; charset=utf-8", headers=policy)


def metrics_page(registry: CollectorRegistry) -> Page:
    """The metrics, in the format that the client prefers."""

    def answer(request: Request) -> Answer:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        try:
            return Answer(encode(registry), content_type)
        except Exception:
            log.exception("the metrics cannot be collected")
            return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the metrics cannot be collected")

    return answer


def health_page(health: Callable[[], Health], question: str) -> Page:
    """200 where the worker is `question` (`alive`, `ready`), else 503 with the reasons.

    The reasons are for those who showed credentials; an orchestrator needs the code alone.
    """

    def answer(request: Request) -> Answer:
        try:
            found = health()
        except Exception as error:
            # A check that cannot answer is no sign of life.
            log.exception("the health check failed")
            found = Health(False, False, (f"the health check failed: {error!r}",))
        good = found.alive if question == "alive" else found.ready
        reasons = () if good else found.reasons
        if reasons and not request.authenticated:
            reasons = ("authenticate to read the reasons",)
        body = orjson.dumps({question: good, "reasons": reasons}) + b"\n"
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(body, "application/json", status.value)

    return answer
