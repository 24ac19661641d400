"""Addresses of brokers, as people and librdkafka write them."""

from __future__ import annotations

#: Kafka's own port, for an address without one.
_PORT = 9092

#: A host and a port.
Address = tuple[str, int]


def split_bootstrap(servers: str) -> list[Address]:
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


def written(host: str, port: int) -> str:
    """An address for a person."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
