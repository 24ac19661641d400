"""The page at `/workers` of a supervisor: its workers, and the sum."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape

from consumer.contracts.choices import WorkerState
from consumer.telemetry.admin.messages import Answer, Page, Request
from consumer.telemetry.gathered import Family, total

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 64rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .25rem .75rem; border-bottom: 1px solid #8884 }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left }
td { font-variant-numeric: tabular-nums }
tfoot td { font-weight: 600 }
.scroll { overflow-x: auto }
"""

#: The page may show its own style and nothing else.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)

#: Columns that add up: what a person reads, and the metric.
_COLUMNS = (
    ("partitions", "nerstream_assigned_partitions"),
    ("lag", "nerstream_partition_lag_messages"),
    ("in flight", "nerstream_in_flight_messages"),
    ("consumed", "nerstream_messages_consumed_total"),
    ("published", "nerstream_articles_published_total"),
    ("rejected", "nerstream_messages_rejected_total"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one worker.

    Attributes:
        pid: None where it has no process.
        state: in a word; restarts: how often it was started again.
        reasons: why it is not ready; empty where it is.
        families: its metrics as it told them last.
    """

    pid: int | None
    state: str
    restarts: int
    reasons: Sequence[str]
    families: Sequence[Family]


def workers_page(rows: Callable[[], Mapping[int, Row]]) -> Page:
    """The page; it loads itself anew every five seconds."""

    def answer(request: Request) -> Answer:
        del request
        headers = {"Content-Security-Policy": _POLICY, "Refresh": "5"}
        return Answer(_written(rows()).encode(), "text/html; charset=utf-8", headers=headers)

    return answer


def _written(rows: Mapping[int, Row]) -> str:
    heads = ["worker", "pid", "state", "restarts", *(name for name, _ in _COLUMNS), "not ready"]
    lines = [_line("td", _cells(number, row)) for number, row in sorted(rows.items())]
    sums = [_sum(rows, metric) for _, metric in _COLUMNS]
    restarts = sum(row.restarts for row in rows.values())
    ready = sum(row.state == WorkerState.WORKING and not row.reasons for row in rows.values())
    foot = ["all", "", f"{ready} of {len(rows)} ready", f"{restarts:,}", *sums, ""]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>nerstream: {len(rows)} workers</title>
<style>{_STYLE}</style>
<h1>nerstream</h1>
<div class="scroll"><table>
<thead>{_line("th", heads)}</thead>
<tbody>
{chr(10).join(lines)}
</tbody>
<tfoot>{_line("td", foot)}</tfoot>
</table></div>
<p><a href="./">/</a>: all together, as it goes.
<a href="metrics">/metrics</a>: of each worker, by the label <code>worker</code>.
<a href="healthz">/healthz</a>: 200 while a worker makes progress.
<a href="readyz">/readyz</a>: 200 once all have started and one has partitions.</p>
</html>
"""


def _cells(number: int, row: Row) -> list[str]:
    pid = "" if row.pid is None else str(row.pid)
    numbers = [f"{total(row.families, metric):,.0f}" for _, metric in _COLUMNS]
    return [str(number), pid, row.state, f"{row.restarts:,}", *numbers, "; ".join(row.reasons)]


def _sum(rows: Mapping[int, Row], metric: str) -> str:
    return f"{sum(total(row.families, metric) for row in rows.values()):,.0f}"


def _line(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"
