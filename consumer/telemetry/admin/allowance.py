"""Allowances: how much of the processor's time the admin port may take from the worker."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

#: Share of one core that the port may take over time, and seconds that it may take at once after
#: it was quiet. A scrape costs some milliseconds, a probe half of one.
SHARE = 0.015
BURST_S = 0.3

#: What a client is counted by: where time is short, who has most of it left goes first.
CLIENT_SHARE = 0.002
CLIENT_BURST_S = 0.1

#: With so much left a client has asked next to nothing, as an orchestrator does: nothing is kept
#: from it, while there is anything.
CLIENT_FRUGAL_S = 0.09

#: Seconds that must be left for each kind of work, so that who comes new is always seen, and probes
#: go before pages.
KEPT_FROM_READING_S = 0.02
KEPT_FROM_PAGES_S = 0.05

#: Addresses that are remembered.
_CLIENTS = 1_024


class Allowance:
    """An account of processor time: it fills with time, to a limit, and may be overdrawn.

    Args:
        share: seconds that it earns in a second.
        burst_s: the most it holds; it begins with that.
        now: seconds of a monotonic clock.
    """

    def __init__(self, share: float, burst_s: float, now: float) -> None:
        self._share = share
        self._burst_s = burst_s
        self._left_s = burst_s
        self._now = now

    def spend(self, seconds: float, now: float) -> None:
        """Take what something has cost."""
        self._earn(now)
        self._left_s -= seconds

    def wait_s(self, now: float, keep_s: float = 0.0) -> float:
        """Seconds until there is more than `keep_s` in it; 0 where there is."""
        self._earn(now)
        return max(0.0, (keep_s - self._left_s) / self._share)

    def left_s(self, now: float) -> float:
        """Seconds that are in it; less than none where it is overdrawn."""
        self._earn(now)
        return self._left_s

    def _earn(self, now: float) -> None:
        earned = max(0.0, now - self._now) * self._share
        self._left_s = min(self._burst_s, self._left_s + earned)
        self._now = max(self._now, now)


class ClientAllowances:
    """An allowance for each client.

    Args:
        clients: how many are remembered; the one that was not seen for longest is forgotten.
    """

    def __init__(
        self,
        share: float = CLIENT_SHARE,
        burst_s: float = CLIENT_BURST_S,
        clients: int = _CLIENTS,
    ) -> None:
        self._share = share
        self._burst_s = burst_s
        self._clients = clients
        self._of: OrderedDict[str, Allowance] = OrderedDict()

    def of(self, client: str, now: float) -> Allowance:
        """The allowance of this client."""
        if client not in self._of:
            self._of[client] = Allowance(self._share, self._burst_s, now)
            if len(self._of) > self._clients:
                self._of.popitem(last=False)
        self._of.move_to_end(client)
        return self._of[client]


@lru_cache(_CLIENTS)
def client_of(address: str) -> str:
    """Whom an address belongs to: itself, or of IPv6 the network of 64 bits, which is one's own."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, 64), strict=False))
