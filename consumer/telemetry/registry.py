"""The registry of one worker; never the global one, so that two workers in a process differ."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector


def new_registry() -> CollectorRegistry:
    """An empty registry for `Metrics` and `AdminServer`."""
    return CollectorRegistry(auto_describe=True)


def gathered_registry(collector: Collector) -> CollectorRegistry:
    """A registry that has what this collector gives, which is known only when it is asked."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
