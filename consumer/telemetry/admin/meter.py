"""Meter: has the admin port wait where it would take too much of the processor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from consumer.telemetry.admin.allowance import (
    BURST_S,
    CLIENT_FRUGAL_S,
    KEPT_FROM_PAGES_S,
    KEPT_FROM_READING_S,
    SHARE,
    Allowance,
    ClientAllowances,
)

#: Processor time that a turn is taken to cost, before it is known. So those that wait together do
#: not all begin at once.
_TURN_S = 0.000_3

#: What a page is taken to cost until one was answered: as much as is kept from pages, so that few
#: begin before it is known.
_PAGE_S = KEPT_FROM_PAGES_S

#: Seconds between two looks at those who wait. Were each to look for itself, looking would take
#: more than answering.
_LOOK_S = 0.1

#: Seconds for which the loop's thread rests while there is too little time, so that it is woken
#: some times a second for all that has come, and not hundreds of times for a little each. To be
#: woken costs the thread that computes more than is counted: its place in the caches.
_REST_S = 0.02

#: Seconds between two looks at whether connections may be accepted again.
_ACCEPT_LOOK_S = 0.02


#: What must be left for it, who waits, what it pays in advance, and what is set when it may go on.
_Waiting = tuple[float, str, float, "asyncio.Future[None]"]


class Meter:
    """Counts the processor time of the server's threads. Its loop's thread alone uses it.

    What the loop's thread has used since somebody was last charged is charged to who comes next. So
    nothing is left out, and each client pays in proportion to how often it has the loop woken.

    Args:
        share: of a core, that all clients together may take.
        burst_s: seconds that they may take at once.
        clock: seconds of a monotonic clock.
        used: seconds of the processor that the thread of the loop has used.
        rest: has the thread of the loop wait so many seconds; None never does.
        page_s: seconds that a page is taken to cost until one was answered.
    """

    def __init__(
        self,
        share: float = SHARE,
        burst_s: float = BURST_S,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
        rest: Callable[[float], None] | None = time.sleep,
        page_s: float = _PAGE_S,
    ) -> None:
        self._clock = clock
        self._used = used
        self._rest = rest
        self._rests = False
        self._page_s = page_s
        self._counted_s = used()
        self._all = Allowance(share, burst_s, clock())
        self._clients = ClientAllowances()
        self._waiting: list[_Waiting] = []
        self._look: asyncio.TimerHandle | None = None

    def charge(self, client: str) -> None:
        """Have a client pay for what the loop has done."""
        used = self._used()
        self.charge_elsewhere(client, used - self._counted_s)
        self._counted_s = used

    def charge_elsewhere(self, client: str, seconds: float) -> None:
        """Have a client pay for what another thread has done for it."""
        now = self._clock()
        self._all.spend(seconds, now)
        self._clients.of(client, now).spend(seconds, now)

    def is_short(self) -> bool:
        """Whether there is too little time for all who ask."""
        return self._all.wait_s(self._clock(), KEPT_FROM_PAGES_S) > 0

    async def may_accept(self) -> None:
        """Wait until there is time to see who comes."""
        self._begin_to_rest()
        while wait := self._all.wait_s(self._clock()):
            await asyncio.sleep(max(wait, _ACCEPT_LOOK_S))

    async def may_read(self, client: str) -> None:
        """Wait until there is time to see what this client asks."""
        await self._wait_for(KEPT_FROM_READING_S, client)

    async def turn(self, client: str, *, is_probe: bool) -> float:
        """Wait until there is time to answer this client.

        Returns:
            Seconds that it has paid in advance: what a page has cost of late. Else many pages would
            begin on what is there for one.
        """
        if is_probe:
            await self._wait_for(KEPT_FROM_READING_S, client)
            return 0.0
        advance_s = self._page_s
        await self._wait_for(KEPT_FROM_PAGES_S, client, advance_s)
        return advance_s

    def charge_page(self, client: str, seconds: float, advance_s: float) -> None:
        """Have a client pay what a page has cost above what it has paid in advance."""
        self._page_s = max(seconds, 0.9 * self._page_s)
        self.charge_elsewhere(client, seconds - advance_s)

    async def _wait_for(self, keep_s: float, client: str, advance_s: float = 0.0) -> None:
        self._begin_to_rest()
        now = self._clock()
        if self._clients.of(client, now).left_s(now) >= CLIENT_FRUGAL_S:
            keep_s = 0.0
        if not self._all.wait_s(now, keep_s):
            self.charge_elsewhere(client, advance_s)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((keep_s, client, advance_s, turn))
        self._look_later()
        await turn

    def _begin_to_rest(self) -> None:
        if self._rest is not None and not self._rests and self.is_short():
            self._rests = True
            asyncio.get_running_loop().call_soon(self._rest_while_short)

    def _rest_while_short(self) -> None:
        """Once in each turn of the loop."""
        self._rests = self.is_short()
        if self._rests and self._rest is not None:
            self._rest(_REST_S)
            asyncio.get_running_loop().call_soon(self._rest_while_short)

    def _look_later(self) -> None:
        if self._look is None and self._waiting:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(_LOOK_S, self._let_go_on)

    def _let_go_on(self) -> None:
        """Let those go on for whom there is time: first whose client has taken least."""
        self._look = None
        now = self._clock()
        # Those that are done are of connections that have ended.
        waiting = [one for one in self._waiting if not one[-1].done()]
        left_s = {client: self._clients.of(client, now).left_s(now) for _, client, *_ in waiting}
        waiting.sort(key=lambda one: -left_s[one[1]])
        self._waiting = []
        for keep_s, client, advance_s, turn in waiting:
            if self._all.wait_s(now, keep_s):
                self._waiting.append((keep_s, client, advance_s, turn))
                continue
            self.charge_elsewhere(client, _TURN_S + advance_s)
            turn.set_result(None)
        self._look_later()
