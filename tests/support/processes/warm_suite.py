"""The processes of a parallel run, forked from one that has imported every test.

To import the tests, and torch and transformers for them, takes each process nine seconds of a core.
Here one process, the template, collects the tests once, as pytest does, and forks what pytest-xdist
would have started. pytest-xdist starts a client in its place, `warm_suite_client.py`, which hands
its streams on and waits. Without a template the client becomes what was asked for, a cold Python.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers.lifetime import spawn
from tests.support.processes.warm_template import only_thread, request, settle

_CLIENT = Path(__file__).with_name("warm_suite_client.py")


class WarmSuite:
    """The template, and who asks it.

    Args:
        count: processes that it forks, then it ends.
        tests: what pytest is to collect.
    """

    def __init__(self, count: int, tests: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="nerstream-suite-"))
        place = self._folder / "template"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
            listening.listen(count)
            handed = listening.fileno()
            self._process = spawn(
                [sys.executable, "-m", __name__, str(handed), str(count), *tests],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(handed,),
                # Its only thread is to be the one that forks.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        client = [sys.executable, "-S", str(_CLIENT), str(place), sys.executable]
        #: One's command, as execnet's `python=` takes it.
        self.python = shlex.join(client)

    def close(self) -> None:
        """End it, and with it what it forked, which has ended by itself after a whole run."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _collect(tests: Sequence[str]) -> None:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])


def _serve(listening: socket.socket, count: int) -> dict[str, Any] | None:
    """Fork a child for each client. Returns in the child, with what is asked for."""
    children = []
    for _ in range(count):
        channel, _ = listening.accept()
        with channel:
            asked = request(channel)
            if asked is None:
                continue
            wanted, streams = asked
            child = os.fork()
            if child == 0:
                settle({**wanted, "parent": os.getppid()}, streams)
                channel.sendall(b"1")
                # The client waits until this process has ended, and with it this.
                channel.detach()
                return wanted
            children.append(child)
            for stream in streams:
                os.close(stream)
    listening.close()
    for child in children:
        os.waitpid(child, 0)
    return None


def _main() -> None:
    # An interrupt of the tests is their matter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listening = socket.socket(fileno=int(sys.argv[1]))
    _collect(sys.argv[3:])
    # A lock that another thread holds at the fork would stay locked in the child. Without this
    # process every client becomes a cold Python.
    if not only_thread():
        sys.exit("a test or what it imports starts a thread when imported: the tests start cold")
    gc.collect()
    gc.freeze()
    wanted = _serve(listening, int(sys.argv[2]))
    if wanted is None:
        return
    listening.close()
    program = types.ModuleType("__main__")
    # For whoever asks how this process began.
    vars(program)["forked"] = True
    sys.modules["__main__"] = program
    sys.argv = ["-c"]
    exec(wanted["code"], vars(program))


if __name__ == "__main__":
    _main()
