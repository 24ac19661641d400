"""Prometheus' own programs, or a reason to skip."""

from __future__ import annotations

import os

import pytest

from tests.integration.prometheus_server import PrometheusMissing, program


def program_or_skip(name: str) -> str:
    """Where `prometheus` or `promtool` is. The test skips where it is missing, and fails under
    CI=true."""
    try:
        return str(program(name))
    except PrometheusMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
