"""A warm start makes the same process as a cold one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import warm_process
from tests.support.processes.warm_process import WarmProcess

_PR_GET_CHILD_SUBREAPER = 37

#: As other tests have them, so that they share what is forked from.
VARIABLES = {**os.environ, "HF_HUB_OFFLINE": "1"}


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (["json.tool"], b'{"a": "\xc3\xa9"}'),
        (["json.tool"], b"not JSON"),
        (["json.tool", "in-the-folder.json"], b""),
        (["json.tool", "--no-such-option"], b""),
        (["consumer", "--version"], b""),
        (["consumer", "run", "--batch-tokens", "many"], b""),
    ],
)
def test_it_reads_writes_and_ends_as_a_cold_one(
    tmp_path: Path, command: list[str], given: bytes
) -> None:
    (tmp_path / "in-the-folder.json").write_text("[1]")
    whole = [sys.executable, "-m", *command]
    # Read late, so that no other template is made for it.
    variables = {**VARIABLES, "NERSTREAM_DELIVERY": "at_most_once"}
    cold, warm = (
        run(whole, input=given, capture_output=True, cwd=tmp_path, env=variables, check=False)
        for run in (subprocess.run, warm_process.run)
    )
    assert (warm.returncode, sorted(warm.stdout.splitlines())) == (
        cold.returncode,
        sorted(cold.stdout.splitlines()),
    )
    assert sorted(warm.stderr.splitlines()) == sorted(cold.stderr.splitlines())


def test_an_exception_ends_it_with_its_traceback() -> None:
    # Without a file name, the module raises.
    done = warm_process.run(
        [sys.executable, "-m", "tests.support.processes.warm_template"],
        capture_output=True,
        env=VARIABLES,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == b"IndexError: list index out of range"


def test_it_is_a_child_that_can_be_killed_and_no_other_orphan_is() -> None:
    command = [sys.executable, "-m", "json.tool"]
    with WarmProcess(command, stdin=subprocess.PIPE, env=VARIABLES) as process:
        stat = Path("/proc", str(process.pid), "stat").read_text()
        assert int(stat.rpartition(")")[2].split()[1]) == os.getpid()
        assert process.poll() is None
        process.kill()
        assert process.wait() == -signal.SIGKILL
    adopts = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    assert adopts.value == 0
