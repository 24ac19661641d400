"""Chromium, Debian's, driven by Playwright; it asks nobody but the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

#: What is looked for on the path.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """Where Chromium is; the test skips where it is missing, and fails under CI=true."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    missing = "there is no Chromium; Debian's package chromium has it"
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@contextmanager
def running_chromium(path: str) -> Iterator[Browser]:
    """A browser without a window.

    Args:
        path: of its executable.
    """
    arguments = ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium does not sandbox root
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Looked:
    """A page, and what happened on it.

    Attributes:
        requests: addresses that were asked, in their order.
        complaints: errors of scripts, of the console and of the policy; dialogs.
    """

    def __init__(self, browser: Browser, *, dark: bool = False, width: int = 1280) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._context = browser.new_context(
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        self.page: Page = self._context.new_page()
        # Longer than any machine is busy.
        self.page.set_default_timeout(180_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", lambda dialog: self._dialog(dialog.message, dialog.dismiss))

    def _heard(self, message: object) -> None:
        if getattr(message, "type", "") in ("error", "warning"):
            self.complaints.append(str(getattr(message, "text", message)))

    def _dialog(self, message: str, dismiss: object) -> None:
        self.complaints.append(f"dialog: {message}")
        if callable(dismiss):
            dismiss()

    def state(self, kind: str) -> None:
        """Wait until the state of the worker is called so."""
        self.page.wait_for_selector(f"#state[data-kind={kind}]")

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.locator(selector).inner_text()

    def fits(self) -> bool:
        """Whether nothing is wider than the window."""
        width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        return bool(self.page.evaluate(width))

    def close(self) -> None:
        """Close it."""
        self._context.close()
