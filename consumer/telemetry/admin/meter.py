"""Meter: has the admin port wait where it would take too much of the processor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from consumer.telemetry.admin.allowance import (
    BURST_S,
    KEPT_FOR_PROBES_S,
    SHARE,
    Allowance,
    ClientAllowances,
)

#: Processor time that a request is taken to cost, before it is known. So those that wait together
#: do not all begin at once.
_REQUEST_S = 0.000_3


class Meter:
    """Counts the processor time of the server's threads. Its loop's thread alone uses it.

    Args:
        share: of a core, that all clients together may take.
        clock: seconds of a monotonic clock.
        used: seconds of the processor that the thread of the loop has used.
    """

    def __init__(
        self,
        share: float = SHARE,
        burst_s: float = BURST_S,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._used = used
        self._counted_s = used()
        self._all = Allowance(share, burst_s, clock())
        self._clients = ClientAllowances()

    def used(self) -> float:
        """Seconds of the processor that the thread of the loop has used."""
        return self._used()

    def charge(self, client: str, since: float) -> None:
        """Have a client pay for what the loop has done for it.

        Args:
            since: `used()` before that.
        """
        self._clients.of(client, self._clock()).spend(self._used() - since, self._clock())

    def charge_elsewhere(self, client: str, seconds: float) -> None:
        """Have a client pay for what another thread has done for it."""
        now = self._clock()
        self._all.spend(seconds, now)
        self._clients.of(client, now).spend(seconds, now)

    async def may_read(self) -> None:
        """Wait until there is time to see who comes and what they ask."""
        while wait := self._wait_for_all(0.0):
            await asyncio.sleep(wait)

    async def turn(self, client: str, *, is_probe: bool) -> None:
        """Wait until there is time to answer this client."""
        while wait := self._wait_for_turn(client, is_probe):
            await asyncio.sleep(wait)
        now = self._clock()
        self._clients.of(client, now).spend(_REQUEST_S, now)

    def _wait_for_turn(self, client: str, is_probe: bool) -> float:
        if is_probe:
            return self._wait_for_all(0.0)
        now = self._clock()
        own = self._clients.of(client, now).wait_s(now)
        return max(own, self._wait_for_all(KEPT_FOR_PROBES_S))

    def _wait_for_all(self, keep_s: float) -> float:
        used, now = self._used(), self._clock()
        self._all.spend(used - self._counted_s, now)
        self._counted_s = used
        return self._all.wait_s(now, keep_s)
