"""KeptOut: has the kernel leave unheard who crowds the port, before he costs anything.

To accept a connection and close it takes some twelve microseconds of the processor, so that a
thousand a second take all that the port may, and a probe waits behind them. The kernel can look at
the address of a packet before there is a connection (`SO_ATTACH_FILTER`, Linux), for no time of
ours.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network

#: Seconds that a client is not heard. A system that gets no answer tries again after 1, 3 and 7 s.
HOLD_S = 5.0

#: Clients that are not heard at once; for one more the one goes who was seen first.
_MOST = 32

#: Of Linux's `asm-generic/socket.h`.
_ATTACH, _DETACH = 26, 27

#: The instructions of the kernel's packet filter: load a word, compare, end.
_LOAD, _IS, _END = 0x20, 0x15, 0x06
_DROP, _PASS = 0, 0xFFFF_FFFF

#: Where a load finds the protocol of the packet, and its header of IP.
_PROTOCOL, _IP = 0x1_0000_0000 - 0x1000, 0x1_0000_0000 - 0x10_0000
_IPV6 = 0x86DD
_SOURCE, _SOURCE_V6 = 12, 8

_Step = tuple[int, int, int, int]


class KeptOut:
    """The clients that are not heard, of one listening socket.

    Where the kernel knows no such filter, all are heard. Not for several threads.

    Args:
        listener: it must listen already.
        hold_s: seconds that a client is not heard.
    """

    def __init__(self, listener: socket.socket, hold_s: float = HOLD_S) -> None:
        self._listener = listener
        self._hold_s = hold_s
        self._until: OrderedDict[str, float] = OrderedDict()
        self._can = sys.platform == "linux"

    def __len__(self) -> int:
        return len(self._until)

    def keep_out(self, clients: Iterable[str], now: float) -> bool:
        """Hear nothing of these for a while.

        Args:
            clients: as `client_of` names them; what names no address is passed over.
            now: seconds of a monotonic clock.

        Returns:
            Whether they are the first, so that somebody must call `let_in` in a while.
        """
        added = [one for one in clients if one not in self._until and _is_address(one)]
        if not added or not self._can:
            return False
        is_first = not self._until
        for client in added:
            self._until[client] = now + self._hold_s
            if len(self._until) > _MOST:
                self._until.popitem(last=False)
        self._apply()
        return is_first and bool(self._until)

    def let_in(self, now: float) -> float | None:
        """Hear those again whose while is over.

        Returns:
            Seconds until the next one's is; None where nobody is kept out.
        """
        over = [client for client, until in self._until.items() if until <= now]
        for client in over:
            del self._until[client]
        if over:
            self._apply()
        return min(self._until.values(), default=now) - now if self._until else None

    def _apply(self) -> None:
        try:
            if not self._until:
                self._listener.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
                return
            steps = _program(self._until)
            raw = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in steps))
            told = struct.pack("@HP", len(steps), ctypes.addressof(raw))
            self._listener.setsockopt(socket.SOL_SOCKET, _ATTACH, told)
        except OSError:
            # A kernel without it, or a sandbox that forbids it: they are turned away one by one.
            self._can = False
            self._until.clear()


def _is_address(client: str) -> bool:
    try:
        ip_network(client)
    except ValueError:
        return False
    return True


def _program(clients: Iterable[str]) -> list[_Step]:
    """What drops the packets of these clients and of nobody else."""
    v4: list[_Step] = [(_LOAD, 0, 0, _IP + _SOURCE)]
    v6: list[_Step] = []
    for client in clients:
        if "/" not in client and isinstance(ip_address(client), IPv4Address):
            v4 += [(_IS, 0, 1, int(IPv4Address(client))), (_END, 0, 0, _DROP)]
            continue
        network = int(IPv6Network(client).network_address)
        v6 += [
            (_LOAD, 0, 0, _IP + _SOURCE_V6),
            (_IS, 0, 3, network >> 96),
            (_LOAD, 0, 0, _IP + _SOURCE_V6 + 4),
            (_IS, 0, 1, network >> 64 & 0xFFFF_FFFF),
            (_END, 0, 0, _DROP),
        ]
    v4.append((_END, 0, 0, _PASS))
    v6.append((_END, 0, 0, _PASS))
    return [(_LOAD, 0, 0, _PROTOCOL), (_IS, len(v4), 0, _IPV6), *v4, *v6]
