"""Checks of the model on this device."""

from __future__ import annotations

import re
from collections.abc import Callable

from consumer.doctor.facts import Facts, ModelFacts
from consumer.doctor.finding import Finding, green, grey, red, yellow
from consumer.doctor.timeouts import forward_pass

_COMMIT = re.compile(r"[0-9a-f]{40}")


def loads(facts: Facts) -> Finding:
    """Whether the model is found, loads and fits."""
    model = facts.model
    if not isinstance(model, ModelFacts):
        return grey("not looked at" if model is None else model.why)
    if model.problem:
        text, _, remedy = model.problem.partition("; ")
        return red(text, remedy or 'see the guide "Your model"')
    if model.out_of_memory_splits:
        return yellow(
            f"{model.name} runs on {model.device}, but a batch of {model.batch_tokens:,} tokens "
            f"does not fit: {model.out_of_memory_splits} passes were run in halves",
            "lower batch_tokens, or see who else uses the device",
        )
    return green(f"{model.name} on {model.device}, loaded in {model.load_s:.1f} s")


def pinned(facts: Facts) -> Finding | None:
    """Whether tomorrow's worker has the same model as today's."""
    model = _known(facts)
    if model is None:
        return None
    if not model.is_of_hub:
        return green(f"by its own files ({model.revision})")
    settings = facts.settings
    asked = {settings.revision, *(one.partition("@")[2] for one in settings.models.values())}
    loose = [
        one for one in model.revision.split(", ") if _COMMIT.fullmatch(one) and one not in asked
    ]
    if not loose:
        return green(f"pinned: {model.revision}")
    if settings.models:
        return yellow(
            f"models by names that may mean others tomorrow; now they are {', '.join(loose)}",
            "write MODEL@COMMIT in models",
        )
    return yellow(
        f"revision={settings.revision or 'main'} may be another model tomorrow; it is {loose[0]} "
        "now",
        f"set revision={loose[0]}",
    )


def files(facts: Facts) -> Finding | None:
    """The checksum of everything that is read of the model."""
    model = _known(facts)
    if model is None or not model.sha256:
        return None
    shown = ",".join(model.sha256)
    if facts.settings.model_sha256:
        return green(f"checked: {shown}")
    return green(f"model_sha256={shown} would hold the worker to them")


def kernels(facts: Facts) -> Finding | None:
    """Which kernels run."""
    model = _known(facts)
    if model is None:
        return None
    return green(model.how or model.dtype)


def rate(facts: Facts) -> Finding | None:
    """What this machine does."""
    model = _known(facts)
    if model is None or not model.articles_per_s:
        return None
    return green(
        f"{model.articles_per_s:,.0f} articles a second ({model.tokens_per_s:,.0f} tokens), "
        f"measured on {model.measured_on}, without Kafka"
    )


def _known(facts: Facts) -> ModelFacts | None:
    model = facts.model
    return model if isinstance(model, ModelFacts) and not model.problem else None


MODEL_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (
    ("model", loads),
    ("revision", pinned),
    ("files", files),
    ("kernels", kernels),
    ("rate", rate),
    ("forward pass", forward_pass),
)
