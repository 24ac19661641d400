"""`nerstream run` when it cannot begin: one line that says what is wrong, and the exit code."""

from __future__ import annotations

import os
import socket
import sys
import threading

import pytest

from consumer import app
from consumer.contracts.errors import ModelError
from consumer.settings.schema import Settings
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from tests.support.processes import warm_process


def run(*arguments: str, **variables: str) -> tuple[int, list[str]]:
    done = warm_process.run(
        [sys.executable, "-m", "consumer", "run", "--admin-host", "127.0.0.1", *arguments],
        capture_output=True,
        timeout=240,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "NERSTREAM_ADMIN_PORT": "0", **variables},
    )
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
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


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (("acks=1",), "--kafka acks: acks cannot be passed through; it is always all"),
        (("request.required.acks=1",), "request.required.acks cannot be passed through"),
        (("linger.ms=1", "queue.buffering.max.ms=2"), "queue.buffering.max.ms is another name of"),
        (("message.max.bytes=2000", "fetch.max.bytes=1000"), "fetch.max.bytes: 1000 is too"),
        (("socket.timeout.ms=60000",), "lower it, or raise transaction_timeout_ms"),
    ],
    ids=str,
)
def test_a_property_that_will_not_do_is_named_before_the_model_is_loaded(
    properties: tuple[str, ...], said: str
) -> None:
    flags = [part for one in properties for part in ("--kafka", one)]
    code, (error,) = run("--model", "/no/such/model", *flags)
    assert code == 2
    assert said in error


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
    assert "NERSTREAM_ADMIN_PORT: port" in error
    assert str(port) in error


def test_the_model_is_loaded_in_a_thread_that_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaders: list[threading.Thread] = []

    def fail(_: Settings) -> None:
        loaders.append(threading.current_thread())
        raise ModelError("there is none")

    monkeypatch.setattr(app, "taggers_from", fail)
    with pytest.raises(ModelError, match="there is none"):
        app.load_tagger(Settings(), Metrics(new_registry()))
    (loader,) = loaders
    assert loader is not threading.current_thread()
    assert not loader.is_alive()
