"""Prometheus' own programs, or a reason to skip."""

from __future__ import annotations

import os

import pytest

from tests.integration.servers.prometheus_server import PrometheusMissing, program
from tests.support.monitoring.pages import missing_tools


def program_or_skip(name: str) -> str:
    """Where `prometheus` or `promtool` is. The test skips where it is missing, and fails under
    CI=true."""
    try:
        return str(program(name))
    except PrometheusMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def tools_or_skip() -> None:
    """The test skips where Apache Kafka's command line tools are missing, and fails under
    CI=true."""
    missing = missing_tools()
    if not missing:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
