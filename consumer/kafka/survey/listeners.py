"""Whether addresses can be reached from here: their names, and a connection to each."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from consumer.contracts.cluster import Listener
from consumer.kafka.addresses import Address, written

#: Seconds that a connection may take.
CONNECT_S = 3.0

#: Addresses that are tried side by side.
_AT_ONCE = 16


def try_all(addresses: Iterable[Address]) -> list[Listener]:
    """`try_one` for each, side by side, in their order. Blocks for some seconds at most."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda one: try_one(*one), addresses))


def try_one(host: str, port: int) -> Listener:
    """Resolve the name and connect; sends nothing."""
    address = written(host, port)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failed:
        why = failed.strerror if isinstance(failed, OSError) else "it is no name"
        return Listener(address, f"the name {host} does not resolve ({why})")
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except TimeoutError:
        return Listener(address, f"no connection within {CONNECT_S:g} s")
    except (OSError, OverflowError) as failed:
        return Listener(address, f"no connection ({getattr(failed, 'strerror', None) or failed})")
    return Listener(address)
