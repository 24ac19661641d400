"""The runbooks hold together; tests/deploy/test_alerts.py runs their commands."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from consumer.telemetry.declarations import END_TO_END_LATENCY
from tests.support.monitoring.files import ALERTS, ROOT, RUNBOOKS
from tests.support.monitoring.pages import KAFKA_SCRIPTS, NO_ANSWER, commands, says

PAGES = sorted(RUNBOOKS.glob("*.md"))
OPERATIONS = [ROOT / "docs/operations.md", *sorted((ROOT / "docs/operations").glob("*.md"))]
GUIDE = ROOT / "docs/guides/alerts.md"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_a_page_has_its_parts(rule: dict[str, str]) -> None:
    page = (RUNBOOKS / f"{rule['alert']}.md").read_text("utf-8")
    assert page.startswith(f"# {rule['alert']}: ")
    assert "\n**Readers see** " in page
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Do", "Over", "False alarms"]
    assert list(commands(page, "Do"))
    assert list(commands(page, "Over"))


@pytest.mark.parametrize("page", [*PAGES, *OPERATIONS, GUIDE], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link
    for link, anchor in re.findall(r"\]\(([^)#:]*\.md)#([^)]+)\)", page.read_text("utf-8")):
        titles = re.findall(r"^#+ (.+)$", (page.parent / link).read_text("utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert anchor in anchors, f"{link}#{anchor}"


def test_the_list_names_every_page_by_its_severity() -> None:
    text = (RUNBOOKS / "README.md").read_text("utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if "](Nerstream" in line]
    wakes, morning = (
        re.findall(r"\[(\w+)\]\(\1\.md\)", " ".join(column)) for column in zip(*rows, strict=True)
    )
    for severity, listed in (("critical", wakes), ("warning", morning)):
        known = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == severity}
        assert sorted(listed) == sorted(known)


def test_only_scripts_of_kafka_that_are_known_are_named() -> None:
    for page in (*PAGES, *OPERATIONS):
        named = set(re.findall(r"\bkafka-[a-z-]+\.sh\b", page.read_text("utf-8")))
        assert named <= set(KAFKA_SCRIPTS), page


def test_logs_are_asked_for_by_names_that_there_are() -> None:
    (unit,) = (ROOT / "deploy/systemd").glob("*.service")
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.*"), ROOT / "README.md"]
    texts = [one.read_text("utf-8") for one in files if one.suffix in (".md", ".yaml", ".service")]
    units = [name for text in texts for name in re.findall(r"journalctl -u '?([^'` ]+)", text)]
    assert units
    assert all(fnmatch(f"{unit.stem}0", name.removesuffix(".service")) for name in units), units
    asked = [one for text in texts for one in re.findall(r"docker compose(?! config)(.{12})", text)]
    assert len(asked) > 5
    assert {one for one in asked if one != " -f deploy/c"} == set()


def test_the_guide_lists_the_bounds_of_the_histogram() -> None:
    listed = re.search(r"a bound of the histogram: (.+?),? written", GUIDE.read_text("utf-8"))
    assert listed is not None
    bounds = [float(one) for one in re.findall(r"[\d.]+\d|\d", listed[1])]
    assert bounds == list(END_TO_END_LATENCY.buckets)


def test_commands_and_what_they_say() -> None:
    text = """
## Do
1. First:

   ```console
   $ one --flag \\
     value
   said ... so
   $ two
   ```
## Over
```console
$ three
```
"""
    assert [(one.line, one.says) for one in commands(text, "Do")] == [
        ("one --flag value", ("   said ... so",)),
        ("two", ()),
    ]
    assert [one.line for one in commands(text)] == ["one --flag value", "two", "three"]
    assert says("it  said: very\nmuch so", "said ... much  so")
    assert not says("it said nothing", "said ... so")
    assert says("\n", NO_ANSWER)
    assert not says("{} => 1", NO_ANSWER)
