"""`nerstream run` when it cannot begin: one line that says what is wrong, and the exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from consumer.commands import run as run_command
from consumer.contracts.errors import ModelError
from consumer.settings.schema import Settings
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry


def run(*arguments: str, **variables: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "run", "--admin-host", "127.0.0.1", *arguments],
        capture_output=True,
        timeout=240,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "NERSTREAM_ADMIN_PORT": "0", **variables},
    )
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    return done.returncode, [line for line in lines if line.startswith("nerstream: error: ")]


def test_a_wrong_setting_is_named_with_its_source_and_its_remedy() -> None:
    code, errors = run("--batch-tokens", "many", NERSTREAM_DELIVERY="at_most_once")
    assert code == 2
    assert len(errors) == 2
    assert any("--batch-tokens" in error and "whole number" in error for error in errors)
    assert any("NERSTREAM_DELIVERY" in error and "exactly_once" in error for error in errors)


def test_a_model_that_cannot_be_had_is_named_with_the_ways_out() -> None:
    code, (error,) = run("--model", "dslim/bert-base-NER")
    assert code == 1
    assert "dslim/bert-base-NER" in error
    assert "bundled" in error
    assert "folder" in error


def test_a_broker_that_does_not_answer_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{closed.getsockname()[1]}"
    code, (error,) = run("--model", "bundled", "--bootstrap-servers", server)
    assert code == 1
    assert server in error


def test_an_admin_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, (error,) = run("--model", "bundled", NERSTREAM_ADMIN_PORT=str(port))
    assert code == 2
    assert "admin_port" in error
    assert str(port) in error


def test_the_model_is_loaded_in_a_thread_that_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaders: list[threading.Thread] = []

    def fail(_: Settings) -> None:
        loaders.append(threading.current_thread())
        raise ModelError("there is none")

    monkeypatch.setattr(run_command, "tagger_from", fail)
    with pytest.raises(ModelError, match="there is none"):
        run_command.load_tagger(Settings(), Metrics(new_registry()))
    (loader,) = loaders
    assert loader is not threading.current_thread()
    assert not loader.is_alive()
