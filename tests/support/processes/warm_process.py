"""`python -m MODULE` from a warm start: a process like any other, but for the time of its imports.

To import torch and what comes with it takes a process 5 s of a core. So one process, the template,
imports it once and then does nothing but fork. What is forked is a child of this process, as
`subprocess` would have made it: same arguments, environment, folder and descriptors, same `main`,
and it can be waited for and killed. Each guarantee has a test that starts its process cold.

Linux alone can give a child away to its grandparent; elsewhere every process starts cold.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tests.integration.servers.lifetime import spawn

_PR_SET_CHILD_SUBREAPER = 36

#: Variables that are read when a command runs. Any other may be read by an import, so it has to
#: be the same in the template.
_LATE_PREFIXES = ("NERSTREAM_", "FAULT", "PYTEST_", "KAFKA_")
_LATE = frozenset({"COLUMNS", "LINES", "TERM", "NO_COLOR", "SABOTAGE", "TWO_MODELS"})

_templates: dict[tuple[str, frozenset[tuple[str, str]]], _Template] = {}
_lock = threading.Lock()


class WarmProcess(subprocess.Popen[Any]):
    """`subprocess.Popen` of `[sys.executable, "-m", MODULE, ...]`, without the wait for imports.

    It takes no options beyond the three streams and their kind, `cwd` and `env`.
    """

    #: What is imported before, and the beginnings of variables that it does not read.
    imports = "all"
    late: tuple[str, ...] = _LATE_PREFIXES

    def _execute_child(self, args: Any, *rest: Any) -> None:
        if not sys.platform.startswith("linux"):
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        # The order of Python 3.11 to 3.14.
        (_, _, _, _, cwd, env, _, _, _, *pipes) = rest
        in_read, in_write, out_read, out_write, err_read, err_write = pipes[:6]
        command = list(args)
        assert command[:2] == [sys.executable, "-m"], f"{command} is no module to run"
        variables = dict(os.environ if env is None else env)
        streams = [in_read, out_write, err_write]
        with _lock:
            self.pid = _template(self.imports, self.late, variables).fork(
                command[2:],
                os.fspath(cwd or "."),
                variables,
                [stream if stream != -1 else own for own, stream in enumerate(streams)],
            )
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]  # as its own constructor does
            in_read, in_write, out_read, out_write, err_read, err_write
        )


class WarmTorch(WarmProcess):
    """The same, where torch alone is imported before: for what the others read when imported."""

    imports = "torch"
    late = (*_LATE_PREFIXES, "HF_")


class WarmLight(WarmProcess):
    """The same without torch, for the workers with the light tagger."""

    imports = "light"


def run(
    command: Sequence[str],
    *,
    kind: type[WarmProcess] = WarmProcess,
    capture_output: bool = False,
    input: Any = None,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` of such a process."""
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with kind(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class _Template:
    """The process that has imported it."""

    def __init__(self, imports: str, variables: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = spawn(
                [
                    *(sys.executable, "-m", "tests.support.processes.warm_template"),
                    *(imports, str(theirs.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Its only thread is to be the one that forks.
                env={**variables, "OPENBLAS_NUM_THREADS": "1"},
            )
        atexit.register(self._close)

    def fork(
        self, command: Sequence[str], cwd: str, variables: Mapping[str, str], streams: list[int]
    ) -> int:
        """Process id of a new child of this process; its streams are these descriptors."""
        wanted = {
            "command": list(command),
            "cwd": os.path.realpath(cwd),
            "variables": dict(variables),
            "parent": os.getpid(),
        }
        body = json.dumps(wanted).encode()
        # For this moment only: other orphans are the system's, as ever.
        _adopt(True)
        try:
            socket.send_fds(self._socket, [struct.pack("!I", len(body))], streams)
            self._socket.sendall(body)
            answer = self._socket.recv(4, socket.MSG_WAITALL)
        finally:
            _adopt(False)
        if len(answer) < 4:
            raise RuntimeError(f"the template ended with {self._process.wait(60)}")
        return int(struct.unpack("!I", answer)[0])

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()


def _template(imports: str, late: tuple[str, ...], variables: Mapping[str, str]) -> _Template:
    early = frozenset(
        (name, value)
        for name, value in variables.items()
        if name not in _LATE and not name.startswith(late)
    )
    if (imports, early) not in _templates:
        _templates[imports, early] = _Template(imports, dict(early))
    return _templates[imports, early]


def _adopt(orphans: bool) -> None:
    """Whether this process becomes the parent of descendants whose own has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
