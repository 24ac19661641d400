"""The processes of a parallel run are forked, and a run whose template gave up goes on cold."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FEW
from tests.support.processes import warm_suite_client

_CLIENT = [sys.executable, "-S", str(warm_suite_client.__file__)]


def test_this_process_was_forked() -> None:
    """Else a module of tests starts a thread or makes something when it is imported."""
    # Asked here: a mark would be asked once, in the process that forks the others.
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if count <= FEW or not sys.platform.startswith("linux"):
        pytest.skip("only a parallel run of more than a few processes, on Linux, forks them")
    assert hasattr(sys.modules["__main__"], "forked")


def test_without_a_template_it_is_a_cold_python(tmp_path: Path) -> None:
    command = [*_CLIENT, str(tmp_path / "nobody"), sys.executable, "-u", "-c"]
    done = subprocess.run(
        [*command, "import sys; print(sys.stdin.read(), sys.argv)"],
        input="given",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "given ['-c']\n"


def test_a_template_that_ends_without_a_word_leaves_it_a_cold_python(tmp_path: Path) -> None:
    place = tmp_path / "template"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen(1)
        command = [*_CLIENT, str(place), sys.executable, "-u", "-c", "print('cold')"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
            channel, _ = listening.accept()
            channel.close()
            out, _ = process.communicate()
    assert out == b"cold\n"
