"""Checks of what this user may do: with topics, with the group, with the transactional id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.contracts.cluster import Unknown
from consumer.doctor.facts import Facts
from consumer.doctor.finding import Finding, green, grey, red, yellow
from consumer.settings.access import TOPIC_OPERATIONS, grant, spelled

_DAY_MS = 86_400_000

#: Days in which a person can still renew a certificate at leisure.
_SOON_DAYS = 14

#: How a member of the classic protocol shares out partitions; others cannot be mixed with it.
_ASSIGNOR = "cooperative-sticky"


def topics(facts: Facts) -> Finding | None:
    """Whether this user may read the input and write the output."""
    lacks, unknown = [], []
    described = [one for one in facts.cluster.topics if not one.problem]
    for topic in described:
        if isinstance(topic.operations, Unknown):
            unknown.append(topic.operations.why)
            continue
        missing = [one for one in TOPIC_OPERATIONS[topic.setting] if one not in topic.operations]
        if missing:
            lacks.append((topic.name, missing))
    if lacks:
        name, missing = lacks[0]
        return red(
            "this user may not "
            + "; ".join(f"{spelled(missing)} {name}" for name, missing in lacks),
            grant(facts.settings, "topic", name, missing)
            + ("; and so on" if len(lacks) > 1 else ""),
        )
    if unknown:
        return grey(unknown[0])
    if not described:
        return None
    return green("Read and Describe on the input; Write and Describe on what is written")


def group(facts: Facts) -> Finding:
    """Whether this user may be a member of the group."""
    found, name = facts.cluster.group, facts.settings.group_id
    if isinstance(found, Unknown):
        return grey(f"the group {name}: {found.why}")
    if isinstance(found.operations, Unknown):
        return grey(f"the group {name}: {found.operations.why}")
    if "READ" not in found.operations:
        return red(
            f"this user may not Read the group {name}",
            grant(facts.settings, "group", name, ("READ",)),
        )
    return green(f"Read on the group {name}")


def transactional_id(facts: Facts) -> Finding | None:
    """Whether this user may have transactions under this worker's name."""
    if facts.settings.delivery is not Delivery.EXACTLY_ONCE:
        return None
    problem, name = facts.cluster.transactional_id_problem, facts.cluster.transactional_id
    if isinstance(problem, Unknown):
        return grey(f"the transactional id {name}: {problem.why}")
    if problem:
        prefix = name.partition("@")[0] + "@"
        return red(
            f"this user may not use the transactional id {name}: {problem}",
            grant(facts.settings, "transactional-id", prefix, ("WRITE", "DESCRIBE")),
        )
    return green(f"Write on the transactional id {name}")


def members(facts: Facts) -> Finding | None:
    """Whether the group's present members share out partitions in the worker's way."""
    found, settings = facts.cluster.group, facts.settings
    if isinstance(found, Unknown):
        return None
    if not found.members:
        return green(f"nobody is in the group {settings.group_id} now")
    there = f"{settings.group_id} has {found.members} now"
    wanted = settings.group_protocol
    if found.protocol and found.protocol != wanted.value:
        # The brokers can move a group from one protocol to the other while it works.
        return grey(
            f"{there}, under group_protocol={found.protocol}; this worker comes with "
            f"{wanted.value}",
            "the brokers let both be in one group only where "
            "group.consumer.migration.policy allows it",
        )
    if wanted is GroupProtocol.CLASSIC and found.assignor not in ("", _ASSIGNOR):
        return red(
            f"{there}, which share out partitions by {found.assignor}; a worker comes with "
            f"{_ASSIGNOR}, and the two cannot be in one group",
            "stop these members, or take another group_id",
        )
    total = sum(one.partitions for one in facts.cluster.of("input_topics"))
    if total and found.members >= total:
        return grey(
            f"{there} for {total} partitions; one more would get none and never be ready",
            "as it should be where this one replaces another; else plan fewer workers",
        )
    return green(there)


def certificate(facts: Facts) -> Finding | None:
    """How long the client's certificate is valid."""
    ends_ms = facts.cluster.certificate_ends_ms
    if ends_ms is None:
        return None
    days = (ends_ms - facts.cluster.now_ms) // _DAY_MS
    when = f"{datetime.fromtimestamp(ends_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if days < _SOON_DAYS:
        return (red if days < 0 else yellow)(
            f"the client's certificate {'ended' if days < 0 else 'ends'} on {when}",
            "renew it (kafka.ssl.certificate.location), and start the workers again before it ends",
        )
    return green(f"the client's certificate is valid until {when}")


ACCESS_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (
    ("certificate", certificate),
    ("topics", topics),
    ("group", group),
    ("transactional id", transactional_id),
    ("members", members),
)
