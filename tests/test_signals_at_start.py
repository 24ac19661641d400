"""Signals while `nerstream run` begins, in real processes: the first ends it, the second forces."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pytest

#: The processes are gone within this, where nothing hangs: what does waits for a minute.
SOON_S = 20.0

#: The worker whose model takes for ever, in C code, as an import or a read does.
LOADS_FOR_EVER = """
    import sys, threading
    from consumer import cli
    from consumer import app

    def load(settings):
        print("loading", file=sys.stderr, flush=True)
        lock.acquire()

    lock = threading.Lock()
    lock.acquire()
    app.taggers_from = load
    sys.exit(cli.main())
"""

#: The worker whose main thread is in C for ever, before any model, and no signal brings it back.
CHECKS_FOR_EVER = """
    import ctypes, sys
    from consumer import cli
    from consumer import app

    def check(settings, environ):
        print("checking", file=sys.stderr, flush=True)
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(mutex)

    app.check_start = check
    sys.exit(cli.main())
"""

LIGHT = "import sys; from tests.faults.workers.light_worker import main; sys.exit(main())"

Start = Callable[..., "Started"]


class Started:
    """A worker's process whose output is read up to a word."""

    def __init__(self, program: str, word: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), *arguments],
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        self.lines: list[str] = []
        while not self.lines or word not in self.lines[-1]:
            line = self.process.stderr.readline().decode()
            if not line:
                self.process.communicate()
            assert line, self.lines
            self.lines.append(line)

    def send(self, *numbers: signal.Signals, apart_s: float = 0.3) -> None:
        for place, number in enumerate(numbers):
            if place:
                time.sleep(apart_s)
            if self.process.poll() is None:
                self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit code, and everything that was said."""
        _, rest = self.process.communicate(timeout=SOON_S)
        text = "".join(self.lines) + rest.decode()
        assert "Traceback" not in text
        return self.process.returncode, text


@pytest.fixture
def silent() -> Iterator[str]:
    """A broker that takes connections and never answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield f"127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture
def start(silent: str) -> Iterator[Start]:
    begun: list[Started] = []

    def begin(program: str, word: str, *arguments: str) -> Started:
        flags = ("--admin-host=127.0.0.1", "--admin-port=0", "--log-format=json")
        begun.append(Started(program, word, *arguments, *flags, "--bootstrap-servers", silent))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_is_loaded_ends_the_worker(
    start: Start, number: signal.Signals
) -> None:
    worker = start(LOADS_FOR_EVER, "loading", "run")
    worker.send(number)
    code, text = worker.end()
    assert code == 0
    assert "stopped while the model was being loaded" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_forces_whatever_the_start_is_in(
    start: Start, number: signal.Signals
) -> None:
    worker = start(CHECKS_FOR_EVER, "checking", "run")
    # Two that come before the process runs are one to the system.
    worker.send(number, number, apart_s=2.0)
    code, text = worker.end()
    assert code == 1
    assert text.splitlines()[-1] == (
        "nerstream: error: forced by a second signal; what is uncommitted will be read again"
    )


@pytest.mark.parametrize("wait_s", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("apart_s", [None, 0.0, 0.02, 0.3])
def test_signals_while_no_broker_answers(
    start: Start, wait_s: float, apart_s: float | None
) -> None:
    worker = start(LIGHT, '"starting"')
    time.sleep(wait_s)
    if apart_s is None:
        worker.send(signal.SIGTERM)
        assert worker.end()[0] == 0
    else:
        worker.send(signal.SIGTERM, signal.SIGTERM, apart_s=apart_s)
        assert worker.end()[0] in (0, 1)


@pytest.mark.parametrize("wait_s", [0.0, 1.0, 3.0])
def test_signals_while_the_bundled_model_is_loaded(start: Start, wait_s: float) -> None:
    program = "import sys; from consumer.cli import main; sys.exit(main())"
    worker = start(program, '"starting"', "run", "--model", "bundled")
    time.sleep(wait_s)
    worker.send(signal.SIGTERM)
    assert worker.end()[0] == 0
