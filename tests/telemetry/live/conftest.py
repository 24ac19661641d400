"""One Chromium for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.servers.browser import chromium_path, running_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A running Chromium; the test skips where it is missing, and fails under CI=true."""
    with running_chromium(chromium_path()) as browser:
        yield browser
