"""What a process writes to a terminal."""

from __future__ import annotations

import os


def read_terminal(ours: int) -> bytes:
    """Everything until the other end of a pseudo-terminal is closed, by all who had it.

    Args:
        ours: descriptor of our end, which is closed.
    """
    seen = b""
    try:
        while part := os.read(ours, 65_536):
            seen += part
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    return seen
