"""Checks of a sample of the input: a forecast of what a worker will make of it."""

from __future__ import annotations

import math
from collections.abc import Callable

from consumer.contracts.cluster import Unknown
from consumer.contracts.words import counted
from consumer.doctor.facts import Facts, ModelFacts, SampleFacts
from consumer.doctor.finding import (
    Finding,
    green,
    grey,
    joined,
    red,
    size,
    span,
    yellow,
)

#: A worker is planned to be busy for this share of the time, so that it can catch up.
_LOAD = 0.7

#: Reasons that the report quotes.
_SHOWN_CODES = 3


def rejections(facts: Facts) -> Finding | None:
    """Which messages will become dead letters, and whether so many that the worker stops."""
    sample = facts.sample
    if sample is None:
        return None
    if sample.problem:
        return grey(f"no message could be read: {sample.problem}")
    if not sample.messages:
        return grey("the input holds no message yet", "send some, then ask again")
    rejected = sum(sample.rejected.values())
    if not rejected:
        return green(f"none of {counted(sample.messages, 'message')} would be rejected")
    share = rejected / sample.messages
    by_count = sorted(sample.rejected.items(), key=lambda one: -one[1])
    codes = ", ".join(f"{code} {number:,}" for code, number in by_count)
    text = f"{rejected:,} of {sample.messages:,} messages would be rejected: {codes}"
    reasons = "; ".join(f"{code}: {sample.examples[code]}" for code, _ in by_count[:_SHOWN_CODES])
    if share > facts.settings.dead_letter_max_ratio:
        return red(
            f"{text}; above dead_letter_max_ratio={facts.settings.dead_letter_max_ratio:g} the "
            "worker stops",
            reasons,
        )
    return yellow(text, reasons)


def lengths(facts: Facts) -> Finding | None:
    """How long the articles are."""
    sample = _read(facts)
    if sample is None:
        return None
    largest = f"the largest message has {size(sample.largest_bytes)}"
    if not sample.tokens:
        return green(largest)
    tokens = sorted(sample.tokens)
    mean = sum(tokens) / len(tokens)
    p99 = tokens[min(len(tokens) - 1, len(tokens) * 99 // 100)]
    text = f"{mean:,.0f} tokens an article, 99 % up to {p99:,}, at most {tokens[-1]:,}; {largest}"
    if tokens[-1] > facts.settings.batch_tokens:
        return yellow(
            text,
            f"an article above batch_tokens={facts.settings.batch_tokens} is a batch of its own; "
            "raise batch_tokens if the device holds more",
        )
    return green(text)


def languages(facts: Facts) -> Finding | None:
    """In which languages the articles are."""
    sample = _read(facts)
    if sample is None or not any(sample.languages):
        return None
    by_count = sorted(sample.languages.items(), key=lambda one: -one[1])
    return green(joined([f"{name or 'unknown'} {number:,}" for name, number in by_count], 8))


def arrival(facts: Facts) -> Finding | None:
    """How fast messages come, against what this machine does: how many workers that takes."""
    if facts.sample is None:
        return None
    arrivals = facts.cluster.arrivals
    if isinstance(arrivals, Unknown):
        return grey(f"how fast messages come is not known: {arrivals.why}")
    hour, day = arrivals.last_hour / 3_600, arrivals.last_day / 86_400
    busiest = max(hour, day)
    came = f"{hour:,.2g} a second in the last hour, {day:,.2g} in the last day"
    waits = f"{counted(arrivals.waiting, 'message')} {'waits' if arrivals.waiting == 1 else 'wait'}"
    model = facts.model
    if not isinstance(model, ModelFacts) or model.problem or not model.articles_per_s:
        return grey(f"{came}; {waits}; what this machine does was not measured")
    needed = max(1, math.ceil(busiest / (model.articles_per_s * _LOAD)))
    spare = model.articles_per_s * needed - busiest
    caught_up = f", read within {span(1000 * arrivals.waiting / spare)}" if arrivals.waiting else ""
    text = f"{came}: {counted(needed, 'worker')} of this machine; {waits}{caught_up}"
    total = sum(one.partitions for one in facts.cluster.of("input_topics"))
    if total and needed > total:
        return red(
            f"{text}; there are {total} partitions",
            "add partitions to the input topics, or take a faster device or model",
        )
    if facts.workers is not None and facts.workers < needed:
        return red(
            f"{text}; {facts.workers} planned", f"plan {needed}, or take a faster device or model"
        )
    return green(text)


def _read(facts: Facts) -> SampleFacts | None:
    sample = facts.sample
    return sample if sample is not None and not sample.problem and sample.messages else None


SAMPLE_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (
    ("rejections", rejections),
    ("lengths", lengths),
    ("languages", languages),
    ("arrival", arrival),
)
