"""The process that `tests.support.processes.warm_process` forks others from.

`... warm_template all SOCKET` has imported whatever a command of `nerstream` imports on its way,
`... warm_template torch SOCKET` torch alone, `... warm_template light SOCKET` what a worker with
the light tagger imports, and no torch.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import runpy
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def _import(what: str) -> None:
    if what == "light":
        import tests.faults.workers.faulty_worker
        import tests.faults.workers.light_worker
        import tests.faults.workers.light_workers

        return
    import torch  # noqa: F401

    if what == "torch":
        return
    import transformers.models.auto.modeling_auto
    import transformers.models.bert.modeling_bert  # noqa: F401

    import tests.faults.workers.device_worker  # noqa: F401


def only_thread() -> bool:
    """Whether this process may be forked: no other thread can hold a lock."""
    return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1


def request(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What a client asks for, and the streams that it hands on; None where it asks no more."""
    head, streams, _, _ = socket.recv_fds(channel, 4, 3)
    if not head:
        return None
    wanted = json.loads(channel.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
    return wanted, streams


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each request. Returns in the child, with its request; None at the end."""
    while (asked := request(channel)) is not None:
        wanted, streams = asked
        # A lock that another thread holds at the fork would stay locked in the child.
        assert only_thread(), "something that was imported has started a thread"
        between = os.fork()
        if between == 0:
            # The child of a process that has ended goes to the one that asked.
            if os.fork() != 0:
                os._exit(0)
            settle(wanted, streams)
            channel.sendall(struct.pack("!I", os.getpid()))
            channel.close()
            return wanted
        os.waitpid(between, 0)
        for stream in streams:
            os.close(stream)
    return None


def settle(wanted: dict[str, Any], streams: list[int]) -> None:
    """Be what was asked for: a child of that process, with these streams, variables, folder."""
    while os.getppid() != wanted["parent"]:
        time.sleep(0.0002)
    # As for all that the tests start: the kernel ends it with them.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
    for stream in streams:
        os.close(stream)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["variables"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), "utf-8", "strict")
    sys.stdout = _writer(1, "strict", os.isatty(1))
    sys.stderr = _writer(2, "backslashreplace", True)
    # As in any interpreter: whoever puts others in their place leaves these open.
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)


def _writer(descriptor: int, errors: str, line_buffering: bool) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(descriptor, "w"))
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=line_buffering)


if __name__ == "__main__":
    # An interrupt of the tests is their matter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import(sys.argv[1])
    # Else each process copies what was imported, page for page, when its collector looks through it
    # at its end: a second and more of a core.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[2])) as listening:
        child = _serve(listening)
    if child is not None:
        module, *arguments = child["command"]
        sys.argv = [module, *arguments]
        # Imported with the others, it is to run as the program.
        sys.modules.pop(module, None)
        # The interpreter itself takes it from here: exit codes, tracebacks, what waits for the end.
        runpy.run_module(module, run_name="__main__", alter_sys=True)
