"""What a certificate says of its issuer and its times, read out of its DER (X.509, RFC 5280).

Python's `ssl` tells this only of certificates that it has found valid. Here it is wanted of those
that are not valid.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_UTC_TIME = 0x17
_CONTEXT_0 = 0xA0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate's issuer, by its common name, and from when until when it is valid."""

    issuer: str
    begins: datetime
    ends: datetime

    def fault(self, now: datetime) -> str:
        """Why it is not valid at a moment, for a person; empty where its times allow it."""
        if now > self.ends:
            return f"expired on {written(self.ends)}"
        if now < self.begins:
            return f"is not valid before {written(self.begins)}"
        return ""


def written(moment: datetime) -> str:
    """A moment for a person."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def read_der(der: bytes) -> Certificate | None:
    """What a certificate says; None where it is none that can be read."""
    try:
        (whole,) = _parts(der)
        signed, *_ = _parts(whole[1])
        fields = list(_parts(signed[1]))
        if fields[0][0] == _CONTEXT_0:  # the version, which the oldest do not tell
            del fields[0]
        _serial, _algorithm, issuer, validity, *_ = fields
        begins, ends = (_time(*one) for one in _parts(validity[1]))
        return Certificate(_common_name(issuer[1]), begins, ends)
    except (ValueError, IndexError):
        return None


def read_pem(text: str) -> Certificate | None:
    """The same of the first certificate in PEM."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    _, found, rest = text.partition(begin)
    if not found or end not in rest:
        return None
    try:
        return read_der(ssl.PEM_cert_to_DER_cert(begin + rest.partition(end)[0] + end))
    except ValueError:
        return None


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The values one after the other: of each its tag and its content."""
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + size > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + size]
        at += size


def _time(tag: int, text: bytes) -> datetime:
    # RFC 5280: seconds are always there, and so is the Z. `%y` reads 69 as 1969, as far as it gets.
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _common_name(name: bytes) -> str:
    for _, relative in _parts(name):
        for _, pair in _parts(relative):
            (_, kind), (_, value) = _parts(pair)
            if kind == _COMMON_NAME:
                return value.decode("utf-8", "replace")
    return ""
