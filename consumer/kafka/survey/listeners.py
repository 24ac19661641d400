"""Whether addresses can be reached from here: their names, and a connection to each."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from consumer.contracts.cluster import Listener

#: Seconds that a connection may take.
CONNECT_S = 3.0

#: Addresses that are tried side by side.
_AT_ONCE = 16

#: Kafka's own port, for an address without one.
_PORT = 9092


def split_bootstrap(servers: str) -> list[tuple[str, int]]:
    """Hosts and ports of `bootstrap_servers`, as librdkafka reads it: `[PROTOCOL://]host[:port]`,
    IPv6 in brackets."""
    found = []
    for one in servers.split(","):
        text = one.strip().partition("://")[2] or one.strip()
        if not text:
            continue
        host, colon, port = text.rpartition(":")
        if not colon or "]" in port or (":" in host and not host.startswith("[")):
            host, port = text, ""
        found.append((host.strip("[]"), int(port) if port.isdigit() else _PORT))
    return found


def try_all(addresses: Iterable[tuple[str, int]]) -> list[Listener]:
    """`try_one` for each, side by side, in their order. Blocks for some seconds at most."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda one: try_one(*one), addresses))


def try_one(host: str, port: int) -> Listener:
    """Resolve the name and connect; sends nothing."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
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
