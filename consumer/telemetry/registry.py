"""The registry of one worker; never the global one, so that two workers in a process differ."""

from __future__ import annotations

from prometheus_client import CollectorRegistry


def new_registry() -> CollectorRegistry:
    """An empty registry for `Metrics` and `AdminServer`."""
    return CollectorRegistry(auto_describe=True)
