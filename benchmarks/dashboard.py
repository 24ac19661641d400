"""The picture of the dashboard, from real data: `python -m benchmarks.dashboard PICTURE.png`.

A worker with the bundled model on Apache Kafka, a real Prometheus with the rules of deploy/, and
some minutes of news: a steady stream, a burst that is more than the worker can do, and a worker
that is killed, started again, and stopped at the end. Then each panel's query is asked of
Prometheus and drawn. It is not Grafana that draws, so the picture has its queries and its places,
and not its look.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from consumer.bench.articles import news_articles
from tests.integration.rigs import helpers
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.kafka_server import KafkaServer, free_ports
from tests.integration.servers.prometheus_server import PrometheusServer, Series
from tests.support.monitoring.files import DASHBOARD, PROMETHEUS, RULE_FILES, answered

#: Seconds between two scrapes, and the range that Grafana would ask rates of then.
_SCRAPE_S, _RATE_RANGE = 2, "20s"

#: Rows of the grid that are drawn: "is news flowing" and "speed and lateness".
ROWS = 27

#: Light, as a page is.
_LINES = ("#1f6feb", "#2da44e", "#bf8700", "#cf222e", "#8250df", "#57606a")
_COLORS = {"green": "#2da44e", "orange": "#bf8700", "red": "#cf222e", "blue": "#1f6feb"}


def main() -> None:
    """Run the scene, and write the picture."""
    parser = argparse.ArgumentParser(description="the picture of the dashboard, from real data")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--rate", type=float, default=4, help="articles a second")
    parser.add_argument("--burst", type=int, default=150, help="articles, at a third of the time")
    asked = parser.parse_args()
    with ExitStack() as stack:
        server = stack.enter_context(KafkaServer(on_disk=True))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (port,) = free_ports(1)
        prometheus = stack.enter_context(PrometheusServer(_files(port)))
        began_at = time.time()
        _news(server.bootstrap_servers, folder, port, asked)
        draw(prometheus, began_at + 20, time.time(), asked.picture)


def digest(panels: Sequence[Mapping[str, Any]]) -> str:
    """What the picture says of the panels that it shows."""
    shown = [
        (one["title"], one["gridPos"], [target["expr"] for target in one.get("targets", ())])
        for one in panels
    ]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def shown_panels() -> list[dict[str, Any]]:
    """Those that are drawn."""
    return [one for one in DASHBOARD["panels"] if one["gridPos"]["y"] < ROWS]


def draw(prometheus: PrometheusServer, begin: float, end: float, path: Path) -> None:
    """Ask each panel's queries for this time, in seconds since the epoch, and draw the answers."""
    import matplotlib

    # No window, whatever the machine has.
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = shown_panels()
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels)
    figure = pyplot.figure(figsize=(15, height * 0.46))
    for panel in panels:
        at = panel["gridPos"]
        place = (
            at["x"] / 24 + 0.004,
            1 - (at["y"] + at["h"]) / height + 0.004,
            at["w"] / 24 - 0.008,
            at["h"] / height - 0.008,
        )
        if panel["type"] == "row":
            figure.text(place[0], place[1] + 0.004, panel["title"], fontsize=11, weight="bold")
            continue
        frame = figure.add_axes(place)
        frame.set_xticks([])
        frame.set_yticks([])
        for spine in frame.spines.values():
            spine.set_color("#d0d7de")
        frame.set_title(panel["title"], fontsize=8.5, loc="left", y=1.0, pad=-11, x=0.012)
        {"stat": _stat, "timeseries": _lines, "table": _table}[panel["type"]](
            frame, panel, _answers(prometheus, panel, begin, end), begin
        )
    figure.savefig(path, dpi=100, metadata={"Description": f"panels sha256 {digest(panels)}"})
    pyplot.close(figure)


def _answers(
    prometheus: PrometheusServer, panel: Mapping[str, Any], begin: float, end: float
) -> list[tuple[str, Series]]:
    """A name as the legend's, and the series, of each line of a panel."""
    found = []
    for target in panel["targets"]:
        query = answered(target["expr"].replace("$__range", f"{round(end - begin)}s"), _RATE_RANGE)
        for one in prometheus.query_range(query, begin, end, _SCRAPE_S):
            found.append((_legend(target["legendFormat"], one), one))
    return found


def _legend(form: str, series: Series) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda key: series.labels.get(key[1], ""), form)


def _stat(axes: Any, panel: Mapping[str, Any], found: list[tuple[str, Series]], _: float) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    name, value, color, shown = "", math.nan, "green", "not known"
    if found:
        name, series = max(found, key=lambda one: one[1].samples[-1][0])
        value = series.samples[-1][1]
        shown = _said(value, defaults["unit"])
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    for mapping in defaults.get("mappings", ()):
        option = mapping["options"].get(f"{value:g}")
        if option:
            shown, color = option["text"], option["color"]
    if panel["options"]["textMode"] == "name":
        shown = name
    axes.text(
        *(0.5, 0.4, shown),
        ha="center",
        va="center",
        fontsize=19,
        weight="bold",
        color=_COLORS[color],
    )


def _lines(
    axes: Any, panel: Mapping[str, Any], found: list[tuple[str, Series]], begin: float
) -> None:
    # The frame stays; what is drawn has room for its scales inside it.
    inner = axes.inset_axes((0.07, 0.19, 0.86, 0.66))
    right = {
        one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"] if one["properties"]
    }
    other = inner.twinx() if right & {name for name, _ in found} else None
    if other is not None:
        # Else it covers what is drawn by the scale on the left.
        other.patch.set_visible(False)
    handles = []
    for color, (name, series) in zip(_LINES * 9, found, strict=False):
        on = other if other is not None and name in right else inner
        times = [(at - begin) / 60 for at, _ in series.samples]
        handles += on.plot(times, [value for _, value in series.samples], color, lw=1.1, label=name)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for one in (inner, other):
        if one is None:
            continue
        one.tick_params(labelsize=6.5, length=2, colors="#57606a")
        one.spines[["top", "right", "left"]].set_visible(False)
        one.spines["bottom"].set_color("#d0d7de")
        if panel["fieldConfig"]["defaults"].get("min") == 0:
            one.set_ylim(bottom=0)
    inner.grid(axis="y", color="#eaeef2", lw=0.6)
    inner.yaxis.set_major_formatter(lambda value, _: _said(value, unit))
    inner.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
    axes.legend(
        handles=handles[:8], fontsize=6.5, ncols=4, loc="lower left", frameon=False, borderpad=0.1
    )


def _table(axes: Any, __: Mapping[str, Any], found: list[tuple[str, Series]], begin: float) -> None:
    rows = []
    for _, one in found:
        times = [(at - begin) / 60 for at, _ in one.samples]
        about = " ".join(
            value for name, value in one.labels.items() if name in ("topic", "partition")
        )
        rows.append(
            f"{one.labels['severity']:9}{one.labels['alertname']:28}"
            f"{about:14}minute {min(times):.1f} to {max(times):.1f}"
        )
    axes.text(
        *(0.02, 0.74, "\n".join(rows) or "none in this time"),
        va="top",
        fontsize=8,
        family="monospace",
    )


def _said(value: float, unit: str) -> str:
    """A number with its unit, as short as Grafana says it."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if 0 < value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB" if value >= 2**20 else f"{value:.0f} B"
    return f"{value / 1000:.3g} k" if value >= 1000 else f"{value:.3g}"


def _files(port: int) -> dict[str, str]:
    config = {
        "global": {"scrape_interval": f"{_SCRAPE_S}s", "evaluation_interval": f"{_SCRAPE_S}s"},
        "rule_files": RULE_FILES,
        "scrape_configs": [
            {
                "job_name": "nerstream",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": "worker-1:9464"}}
                ],
            }
        ],
    }
    rules = {name: (PROMETHEUS / name).read_text("utf-8") for name in RULE_FILES}
    return {"prometheus.yml": yaml.safe_dump(config), **rules}


def _news(bootstrap: str, folder: Path, port: int, asked: argparse.Namespace) -> None:
    """A steady stream; after a third a burst; after two thirds a kill and a start. Blocks."""
    topics = {name: f"articles{end}" for name, end in _TOPICS.items()}
    for name in topics.values():
        helpers.create_topic(bootstrap, name, 2 if name != "articles-dead-letters" else 1)
    settings = {
        "bootstrap_servers": bootstrap,
        **topics,
        "group_id": f"dashboard-{uuid.uuid4().hex[:6]}",
        "admin_port": port,
        "model": "bundled",
    }
    values = news_articles(2_000, seed=1)
    producer = helpers.producer(bootstrap)
    killed = burst = False
    with ExitStack() as stack:
        worker = stack.enter_context(WorkerProcess(settings, folder, warm=False)).wait_ready()
        begin, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < asked.minutes * 60:
            wanted = round(elapsed * asked.rate)
            if not burst and elapsed > asked.minutes * 20:
                wanted, burst = wanted + asked.burst, True
            extra = asked.burst if burst else 0
            count = max(0, round(elapsed * asked.rate) + extra - sent)
            records = [helpers.Record(values[(sent + at) % len(values)]) for at in range(count)]
            # Now and then one that is no article.
            records += [helpers.Record(b"not JSON")] if sent % 97 > (sent + count) % 97 else []
            helpers.put(producer, topics["input_topics"], records)
            sent += count
            if not killed and elapsed > asked.minutes * 40:
                killed = True
                worker.kill()
                worker = stack.enter_context(WorkerProcess(settings, folder, warm=False))
            time.sleep(0.25)
        producer.flush(60)
        worker.wait_ready().terminate()


_TOPICS = {"input_topics": "", "output_topic": "-tagged", "dead_letter_topic": "-dead-letters"}

if __name__ == "__main__":
    main()
