"""Check of the schema registry, where messages need one."""

from __future__ import annotations

from collections.abc import Callable

from consumer.doctor.facts import Facts
from consumer.doctor.finding import Finding, green, red


def answer(facts: Facts) -> Finding | None:
    """Whether it answers, and lets the worker in."""
    found = facts.registry
    if found is None:
        return None
    if found.problem:
        # A refusal says what to do; who does not answer is looked for by a person.
        text, _, remedy = found.problem.partition("; ")
        return red(
            text,
            remedy
            or "check registry.url, the name, the network, and that the registry runs; a worker "
            "holds what it has read until it answers",
        )
    return green(f"{found.url} answers; messages are in {facts.settings.input_format.value}")


REGISTRY_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (("answer", answer),)
