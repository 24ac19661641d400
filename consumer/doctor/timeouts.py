"""Checks that what may take long is given the time, from the forward pass to the broker."""

from __future__ import annotations

from collections.abc import Callable

from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.doctor.facts import Facts, ModelFacts
from consumer.doctor.finding import Finding, green, grey, red, span, yellow

#: A forward pass may take this share of a timeout: the next one may be slower.
_SHARE = 0.5


def transaction(facts: Facts) -> Finding | None:
    """Whether a transaction ends before the broker gives it up, and the broker allows as much."""
    settings, cluster = facts.settings, facts.cluster
    if settings.delivery is not Delivery.EXACTLY_ONCE:
        return None
    own_ms = settings.transaction_timeout_ms
    most_ms = cluster.broker_number("transaction.max.timeout.ms")
    if most_ms is not None and own_ms > most_ms:
        return red(
            f"transaction_timeout_ms={own_ms} is more than the brokers' "
            f"transaction.max.timeout.ms={most_ms}",
            "lower the one or raise the other",
        )
    poll_ms = cluster.limits.max_poll_interval_ms
    if own_ms >= poll_ms:
        return yellow(
            f"transaction_timeout_ms={own_ms} is not less than max.poll.interval.ms={poll_ms}: a "
            "worker that hangs is expelled before its transaction ends, and holds readers up",
            "lower transaction_timeout_ms, or raise kafka.max.poll.interval.ms",
        )
    bound = "" if most_ms is None else f", of {span(most_ms)} that the brokers allow"
    return green(f"{span(own_ms)}{bound}; polls come within {span(poll_ms)}")


def session(facts: Facts) -> Finding:
    """Whether the brokers take the session timeout."""
    settings, cluster = facts.settings, facts.cluster
    own_ms = cluster.limits.session_timeout_ms
    if settings.group_protocol is GroupProtocol.CONSUMER:
        theirs_ms = cluster.broker_number("group.consumer.session.timeout.ms")
        if theirs_ms is None:
            return grey("the brokers set the session timeout, and may not be asked for it")
        return green(f"the brokers set it: {span(theirs_ms)}")
    least = cluster.broker_number("group.min.session.timeout.ms")
    most = cluster.broker_number("group.max.session.timeout.ms")
    if least is None or most is None:
        return grey(
            f"session.timeout.ms={own_ms}; which the brokers take may not be asked",
            "allow this user DescribeConfigs on the cluster, and it is",
        )
    if not least <= own_ms <= most:
        return red(
            f"session.timeout.ms={own_ms} is not between the brokers' {least} and {most} "
            "(group.min/max.session.timeout.ms)",
            f"set kafka.session.timeout.ms between {least} and {most}",
        )
    return green(f"{span(own_ms)}; the brokers take {span(least)} to {span(most)}")


def forward_pass(facts: Facts) -> Finding | None:
    """Whether a batch of this model on this device is done within every timeout."""
    model, settings = facts.model, facts.settings
    if not isinstance(model, ModelFacts) or model.problem:
        return None
    batch_ms = 1000 * model.batch_s
    shown = f"a batch of {model.batch_tokens:,} tokens takes up to {span(batch_ms)}"
    if batch_ms > 1000 * settings.stall_timeout_s * _SHARE:
        return red(
            f"{shown}; a pass of stall_timeout_s={settings.stall_timeout_s:g} counts as hanging, "
            "and ends the worker",
            "lower batch_tokens, or raise stall_timeout_s",
        )
    if settings.delivery is Delivery.EXACTLY_ONCE:
        needed_ms = settings.batch_wait_ms + settings.commit_interval_ms + batch_ms
        if needed_ms > settings.transaction_timeout_ms * _SHARE:
            return red(
                f"{shown}; with batch_wait_ms and commit_interval_ms that is "
                f"{span(needed_ms)}, of transaction_timeout_ms={settings.transaction_timeout_ms}",
                "lower batch_tokens, or raise transaction_timeout_ms",
            )
    if 2 * batch_ms > 1000 * settings.shutdown_timeout_s * _SHARE:
        return yellow(
            f"{shown}; a drain (shutdown_timeout_s={settings.shutdown_timeout_s:g}) has little "
            "time for what was read",
            "lower batch_tokens, or raise shutdown_timeout_s",
        )
    return green(f"{shown}, well within every timeout")


TIMEOUT_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (
    ("transaction", transaction),
    ("session", session),
)
