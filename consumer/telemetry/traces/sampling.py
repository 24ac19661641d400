"""Sampling: decides which messages are traced. No SDK, no thread."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from consumer.contracts.errors import SettingsError
from consumer.contracts.traces import TraceParent

#: The standard's variables.
SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"

#: The share of each sampler without an argument; None takes it from `OTEL_TRACES_SAMPLER_ARG`.
_SHARES = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}

_PARENT = "parentbased_"

#: The part of a trace id that is random, in bits, as the SDK's own sampler by ratio reads it.
_BITS = 64


class Sampling:
    """A share of what begins here; and of what comes with a context, what its sender recorded.

    Args:
        share: of messages without a context, 0 to 1.
        follows_parent: whether a message with a context is traced if its sender recorded it.
            Otherwise its trace id decides by the same share, so that every worker decides alike.
        chance: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        share: float,
        *,
        follows_parent: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.share = share
        self.follows_parent = follows_parent
        self._bound: int = round(share * 2**_BITS)
        self._chance = chance

    def takes(self, parent: TraceParent | None) -> bool:
        """Whether a message with this context is traced."""
        if parent is None:
            return self.share > 0 and self._chance() < self.share
        if self.follows_parent:
            return parent.is_sampled
        return int(parent.trace_id[-_BITS // 4 :], 16) < self._bound


def sampling_from(share: float, environ: Mapping[str, str]) -> Sampling:
    """What `traces_share` says, or the standard's variables where they are set.

    Raises:
        SettingsError: a variable has a value that means nothing.
    """
    name = environ.get(SAMPLER, "").strip().lower()
    if not name:
        return Sampling(share)
    follows, kind = name.startswith(_PARENT), name.removeprefix(_PARENT)
    if kind not in _SHARES:
        names = [prefix + one for prefix in ("", _PARENT) for one in _SHARES]
        raise SettingsError(
            SAMPLER, f'"{name}" is no sampler that is known here', f"use one of {', '.join(names)}"
        )
    found = _SHARES[kind]
    return Sampling(_argument(environ) if found is None else found, follows_parent=follows)


def _argument(environ: Mapping[str, str]) -> float:
    text = environ.get(ARGUMENT, "").strip() or "1"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(ARGUMENT, f'"{text}" is no share', "give a number from 0 to 1")
    return share
