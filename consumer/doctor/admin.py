"""Check of the admin port's address; its files are looked at before, as wrong settings are."""

from __future__ import annotations

from collections.abc import Callable

from consumer.doctor.facts import Facts
from consumer.doctor.finding import Finding, yellow


def port(facts: Facts) -> Finding | None:
    """Whether it is free; None where it is."""
    if not facts.admin_port_problem:
        return None
    return yellow(
        facts.admin_port_problem,
        "that is well where it is this worker, which runs already; else choose another admin_port, "
        "or 0 to take a free one: a worker would not start",
    )


ADMIN_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (("port", port),)
