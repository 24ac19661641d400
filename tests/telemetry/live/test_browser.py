"""The page in Chromium, as a person meets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Route

from consumer.telemetry.health import Health
from tests.support.rigs.page_rig import PageRig
from tests.support.servers.browser import Looked

#: Opens the rig's page in a window of its own.
Look = Callable[..., Looked]

#: Whether no text is cut off at its side.
WRAPPED = """[...document.querySelectorAll(".text, .reason, .raw")]
    .every((one) => one.scrollWidth <= one.clientWidth)"""

#: In the order in which Tab goes.
STOPS = [
    "Skip to the state of the worker",
    "/metrics",
    "/healthz",
    "/readyz",
    "Pause",
    "look",
    "The same as a table, minute by minute",
]


@pytest.fixture
def look(chromium: Browser) -> Iterator[Look]:
    opened: list[Looked] = []

    def open_page(rig: PageRig, proxied_at: str = "", **kwargs: object) -> Looked:
        looked = Looked(chromium, **kwargs)  # type: ignore[arg-type]
        opened.append(looked)
        address = rig.address
        if proxied_at:
            address = address.rstrip("/") + proxied_at
            looked.page.route("**/*", lambda route: proxied(route, proxied_at.rstrip("/")))
        looked.page.goto(address)
        return looked

    yield open_page
    for looked in opened:
        looked.close()


@pytest.fixture
def rig() -> Iterator[PageRig]:
    rig = PageRig()
    yield rig
    rig.close()


def proxied(route: Route, at: str) -> None:
    """As a proxy does that has the worker at a path, and nothing else beside it."""
    asked = urlsplit(route.request.url)
    if not f"{asked.path}/".startswith(f"{at}/"):
        route.fulfill(status=404)
        return
    path = asked.path.removeprefix(at) or "/"
    route.fulfill(response=route.fetch(url=asked._replace(path=path).geturl()))


def violations(looked: Looked) -> list[str]:
    """What axe has to say against the page."""
    found = Axe().run(looked.page).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


def test_a_worker_at_work(rig: PageRig, look: Look) -> None:
    rig.flow()
    rig.article(
        "Smith & Baird opens in Oslo",
        "Ana Lima said so.",
        [("title", "ORG", "Smith & Baird"), ("title", "LOC", "Oslo"), ("body", "PER", "Ana Lima")],
    )
    rig.rejected(b'{"id": "7"}', "it holds no text")
    looked = look(rig)
    looked.state("flowing")
    # Usable after one document and one answer, and nobody else is asked.
    paths = [urlsplit(address).path for address in looked.requests]
    assert paths[:2] == ["/", "/live.json"]
    assert set(paths) == {"/", "/live.json"}
    assert {urlsplit(address).netloc for address in looked.requests} == {f"127.0.0.1:{rig.port}"}
    assert looked.text("#sentence").startswith("News is flowing: ")
    assert looked.page.title() == "Flowing · nerstream"
    looked.page.wait_for_selector(".chart .line[d^=M]")
    tiles = looked.page.locator(".chart").all_inner_texts()
    assert [tile.split("\n")[0] for tile in tiles] == [
        "Throughput",
        "Latency, from Kafka to the commit",
        "Lag",
        "Batch fill",
        "Rejected",
        "Commits",
    ]
    assert looked.page.locator("#partitions tbody th").all_inner_texts() == [
        "articles/0",
        "articles/1",
        "articles/2",
    ]
    assert looked.page.locator("#rejections tbody th").all_inner_texts() == ["no_text"]
    # Each name is coloured, and says its type beside the colour.
    marks = looked.page.locator("#articles mark").all_inner_texts()
    assert [mark.split() for mark in marks] == [
        ["Smith", "&", "Baird", "ORG"],
        ["Oslo", "LOC"],
        ["Ana", "Lima", "PER"],
    ]
    assert looked.text("#letters .reason") == "it holds no text"
    label = looked.page.locator(".chart svg[role=img]").first.get_attribute("aria-label")
    assert label is not None
    assert label.startswith("Throughput, last 15 minutes: now ")
    looked.page.locator("#figures summary").click()
    looked.page.wait_for_selector("#minutes tbody tr:nth-child(14)")
    assert violations(looked) == []
    assert looked.fits()
    # It goes on by itself, and asks for what is new alone.
    rig.article("A second one", "Later.", [])
    looked.page.wait_for_selector("#articles li:nth-child(2)")
    assert looked.text("#articles li:first-child .first") == "A second one"
    assert "after=0" not in looked.requests[-1]
    assert looked.complaints == []


def test_sums_hold_each_second_once(rig: PageRig, look: Look) -> None:
    """The latest seconds, which each answer has, are in the points too until they are over."""
    rig.flow(steps=20)
    looked = look(rig)
    looked.state("flowing")
    assert looked.text("#rejections tbody td.n") == "42"
    assert looked.page.locator("#entities tbody td.n").all_inner_texts() == ["840"] * 4
    assert looked.page.locator(".chart .value").nth(4).inner_text() == "42 in 15 min"
    assert looked.page.locator(".chart .side").nth(4).inner_text() == "2.0 % of what came in"
    looked.page.locator("#figures summary").click()
    looked.page.wait_for_selector("#minutes tbody tr")
    cells = looked.page.locator("#minutes tbody tr")
    rejected = [int(one) for one in cells.locator("td:nth-of-type(7)").all_inner_texts()]
    committed = [int(one) for one in cells.locator("td:nth-of-type(8)").all_inner_texts()]
    assert (sum(rejected), sum(committed)) == (42, 21)


@pytest.mark.parametrize("path", ["/ner", "/ner/"])
def test_behind_a_proxy_with_a_path(rig: PageRig, look: Look, path: str) -> None:
    rig.flow(steps=20)
    looked = look(rig, path)
    looked.state("flowing")
    links = looked.page.locator("nav a").evaluate_all("links => links.map((link) => link.pathname)")
    assert links == ["/ner/metrics", "/ner/healthz", "/ner/readyz"]
    assert looked.complaints == []


def test_of_several_workers(look: Look) -> None:
    rig = PageRig(is_of_many=True)
    rig.flow(steps=20)
    looked = look(rig)
    looked.state("flowing")
    assert looked.page.locator("#feeds").is_hidden()
    assert looked.page.locator("#no-text").is_hidden()
    assert "with workers=1 alone" in looked.text("#no-text-of-many")
    looked.page.locator("nav a").first.click()
    looked.page.wait_for_url("**/workers")
    assert looked.complaints == []
    rig.close()


def test_arriving_is_no_alarm(rig: PageRig, look: Look) -> None:
    rig.arrive(5_000)
    looked = look(rig)
    looked.state("arriving")
    assert looked.text("#kind") == "Arriving"
    assert looked.text("#sentence").startswith("News is arriving: 5,000 messages wait, and after ")
    assert violations(looked) == []


def test_in_the_dark_on_a_phone(rig: PageRig, look: Look) -> None:
    rig.flow(lag=40_000, topic="a-topic-" + "with-a-very-long-name-" * 6)
    rig.article("w" * 200, "A word without end: " + "x" * 300, [("title", "PER", "w" * 190)])
    rig.rejected(b'{"' + b"y" * 200, "it is too long " * 20)
    light = look(rig, width=360)
    dark = look(rig, dark=True, width=360)
    for looked in (light, dark):
        looked.state("behind")
        looked.page.wait_for_selector("#articles li")
        assert looked.fits()
        assert looked.page.evaluate(WRAPPED)
        assert violations(looked) == []
        assert looked.complaints == []
    grounds = [
        looked.page.evaluate("getComputedStyle(document.body).backgroundColor")
        for looked in (light, dark)
    ]
    assert grounds == ["rgb(250, 248, 243)", "rgb(19, 18, 16)"]


def test_text_of_strangers_does_nothing(look: Look) -> None:
    script = "<script>window.ran = 1; alert(1)</script>"
    image = "<img src=x onerror='window.ran = 1'><svg onload='window.ran = 1'></svg>"
    rig = PageRig(types=(script,), input_topics=("topic",), group_id=image)
    rig.flow(topic=image)
    rig.article(script, image + " of Oslo", [("title", script, script), ("body", script, image)])
    rig.article("e" + "\u0301" * 10_000, "\u202egnp.exe\u2066 \u200b\u3164", [])
    rig.rejected(script.encode() + b"\xff\x1b[31m", image)
    looked = look(rig)
    looked.state("flowing")
    looked.page.wait_for_selector("#articles li:nth-child(2)")
    looked.page.wait_for_selector("#letters li")
    assert looked.page.evaluate("window.ran") is None
    assert looked.page.locator("main script, main img, [onerror], [onload]").count() == 0
    assert looked.page.locator("script").count() == 1
    assert script in looked.text("#articles li:last-child .first")
    assert image in looked.text("#articles li:last-child")
    assert looked.text("#letters .reason") == image
    assert looked.page.locator("#articles li:first-child .odd").all_inner_texts() == [
        "combining mark ×233",
        "U+202E",
        "U+2066",
        "U+200B",
        "U+3164",
    ]
    # No string becomes mark-up or a script, whoever tries.
    with pytest.raises(Error, match="TrustedHTML"):
        looked.page.evaluate("document.body.innerHTML = '<b>x</b>'")
    assert looked.complaints == [one for one in looked.complaints if "TrustedHTML" in one]
    looked.page.evaluate(
        "document.body.append(Object.assign(document.createElement('p'), {textContent: 'x'}))"
    )
    assert looked.fits()
    rig.close()


def test_by_keyboard_alone(rig: PageRig, look: Look) -> None:
    rig.flow()
    looked = look(rig)
    looked.state("flowing")
    keys = looked.page.keyboard
    focused = "document.activeElement"
    for stop in STOPS:
        keys.press("Tab")
        found = looked.page.evaluate(f"{focused}.innerText || {focused}.id")
        assert found == stop
        outline = looked.page.evaluate(f"getComputedStyle({focused}).outlineStyle")
        assert outline == "solid", f"no focus is seen on {stop}"
    # Back in time, and at once back to now.
    looked.page.focus("#look")
    for _ in range(60):
        keys.press("ArrowLeft")
    assert looked.text("#looked") == "5 min ago"
    assert looked.page.locator("#look").get_attribute("aria-valuetext") == "5 min ago"
    assert looked.page.locator(".chart .cross[d^=M]").count() == 6
    keys.press("End")
    assert looked.text("#looked") == "now"
    # Held still, it asks nobody.
    looked.page.focus("#pause")
    keys.press("Space")
    assert looked.page.locator("#pause").get_attribute("aria-pressed") == "true"
    looked.page.wait_for_timeout(1_500)
    asked = len(looked.requests)
    looked.page.wait_for_timeout(2_500)
    assert len(looked.requests) == asked
    with looked.page.expect_request("**/live.json*"):
        keys.press("Space")
    looked.page.locator("body").click(position={"x": 2, "y": 2})
    keys.press("Tab")
    looked.page.locator(".skip").focus()
    keys.press("Enter")
    assert looked.page.evaluate(f"{focused}.id") == "main"
    assert looked.complaints == []


def test_the_worker_goes_and_another_comes(look: Look) -> None:
    rig = PageRig()
    rig.flow(steps=20)
    looked = look(rig)
    looked.state("flowing")
    port = rig.port
    rig.close()
    looked.state("gone")
    assert looked.text("#sentence") == "The worker does not answer."
    assert "the figures are from then" in looked.text("#reasons")
    assert looked.text("#announcement") == "The worker does not answer."
    assert looked.page.title() == "No answer · nerstream"
    assert violations(looked) == []
    # Another worker on the same port: nothing of the first is left, and this one shows no text.
    other = PageRig(port, admin_show_text="off")
    other.health = Health(True, False, ("the model is being loaded",))
    other.live.sample()
    looked.state("waiting")
    assert looked.text("#sentence") == "Waiting: the model is being loaded."
    assert looked.page.locator("#feeds").is_hidden()
    assert "admin_show_text=on" in looked.text("#no-text")
    assert looked.page.locator("#no-text-of-many").is_hidden()
    assert looked.text("#partitions-note").startswith("No partition is assigned")
    assert looked.text("#entities-note") == "None in the last 15 minutes."
    other.health = Health(False, True, ("tag stands for 130 s",))
    looked.state("stuck")
    assert looked.text("#reasons") == "Tag stands for 130 s."
    assert violations(looked) == []
    other.close()
