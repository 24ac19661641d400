"""freeze: it returns when nothing of the process runs any more, and not before."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.support.processes.freeze import freeze, stands

#: Counts in several threads, and says how far it is when it is asked.
_BUSY = """
import sys, threading
counts = [0] * 4
def count(number):
    while True:
        counts[number] += 1
for number in range(4):
    threading.Thread(target=count, args=(number,), daemon=True).start()
print("runs", flush=True)
for _ in sys.stdin:
    print("answers", flush=True)
"""


def test_a_frozen_process_answers_when_it_goes_on_and_not_before() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"runs\n"
            assert not stands(process.pid)
            for _ in range(20):
                freeze(process.pid)
                assert stands(process.pid)
                process.send_signal(signal.SIGCONT)
                process.stdin.write(b"\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"answers\n"
        finally:
            process.kill()
