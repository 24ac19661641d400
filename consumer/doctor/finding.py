"""Findings: what a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out."""

    GREEN = "green"  # as it should be
    YELLOW = "yellow"  # the worker works; something is lost, slow or surprising sooner or later
    RED = "red"  # the worker cannot work, or loses articles
    GREY = "grey"  # cannot be known from here


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        text: what was found.
        remedy: what to do; empty where there is nothing to do.
    """

    status: Status
    text: str
    remedy: str = ""


def green(text: str) -> Finding:
    """As it should be."""
    return Finding(Status.GREEN, text)


def yellow(text: str, remedy: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(Status.YELLOW, text, remedy)


def red(text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Status.RED, text, remedy)


def grey(text: str, remedy: str = "") -> Finding:
    """Nothing is known."""
    return Finding(Status.GREY, text, remedy)


def joined(names: list[str], most: int = 5) -> str:
    """Names with commas, the rest of them counted."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def span(milliseconds: float) -> str:
    """A length of time as a person says it: `50 ms`, `30 s`, `5 min`, `7 d`."""
    for unit_ms, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if milliseconds >= (2 if unit != "s" else 1) * unit_ms:
            return f"{milliseconds / unit_ms:.3g} {unit}"
    return f"{milliseconds:.0f} ms"


def size(number: float) -> str:
    """A number of bytes as a person says it."""
    for unit_bytes, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if number >= unit_bytes:
            return f"{number / unit_bytes:.4g} {unit}"
    return f"{number:.0f} bytes"
