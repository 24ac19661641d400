"""Stands where pytest-xdist's Python would: `python -S ... SOCKET PYTHON -u -c CODE`.

The template at the socket forks the process that runs the code, with the streams of this one. Where
there is no template, this process becomes that Python. It imports no more than it needs.
"""

import json
import os
import socket
import struct
import sys


def _hand_on(place: str, options: list[str]) -> bool:
    """Whether a template has taken the streams; returns when its process has ended."""
    # No pathlib, which takes as long to import as all the rest.
    folder = os.getcwd()  # noqa: PTH109
    wanted = {"code": options[-1], "cwd": folder, "variables": dict(os.environ)}
    body = json.dumps(wanted).encode()
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(place)
            socket.send_fds(channel, [struct.pack("!I", len(body))], [0, 1, 2])
            channel.sendall(body)
            # What tells the process that it is there: a template that gave up says nothing.
            taken = channel.recv(1)
        except OSError:
            return False
        if not taken:
            return False
        # Only the other process may hold them, so that their end is seen.
        os.close(0)
        os.close(1)
        channel.recv(1)
    return True


if __name__ == "__main__":
    place, python, *options = sys.argv[1:]
    if not _hand_on(place, options):
        os.execv(python, [python, *options])
