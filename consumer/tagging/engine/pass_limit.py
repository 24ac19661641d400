"""PassLimit: how many tokens a forward pass may have, learned from the device."""

from __future__ import annotations

import logging

#: Passes near the limit that go well before a larger one is tried again. A try that fails costs
#: one pass, and the next waits twice as long, so that a device that stays small is rarely asked.
PATIENCE_PASSES = 4_096

_log = logging.getLogger(__name__)


class PassLimit:
    """A limit that is halved when memory runs out, and raised again when it has long sufficed.

    Without the raising, a moment in which something else held the device's memory would slow a
    worker down until it is started anew.

    Args:
        most_tokens: the limit at first, and never exceeded.
    """

    def __init__(self, most_tokens: int) -> None:
        self._most = most_tokens
        self._tokens = most_tokens
        self._patience = PATIENCE_PASSES
        self._went_well = 0
        self._raised = False

    @property
    def tokens(self) -> int:
        """Most tokens of a pass now."""
        return self._tokens

    def ran_out(self, tokens: int) -> None:
        """A pass of so many tokens found no memory; the next has half as many, or what the limit
        is by now: passes that overlap may have been begun before it was lowered."""
        if self._raised:
            self._raised = False
            self._patience *= 2
        self._went_well = 0
        self._tokens = max(1, min(self._tokens, tokens // 2))
        _log.warning(
            "out of memory in a pass of %d tokens; passes have at most %d from now on",
            tokens,
            self._tokens,
        )

    def fitted(self, tokens: int) -> None:
        """A pass of so many tokens went well."""
        # A small pass says nothing about the memory that a larger one would find.
        if self._tokens == self._most or 2 * tokens < self._tokens:
            return
        self._went_well += 1
        if self._went_well >= self._patience:
            self._went_well = 0
            self._raised = True
            self._tokens = min(self._most, 2 * self._tokens)
            _log.info("passes may have up to %d tokens again", self._tokens)
