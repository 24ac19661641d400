"""What `run` refuses of its settings before it asks anybody, `doctor` refuses in the same words."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.app import serve
from consumer.commands.doctor import command as doctor
from consumer.contracts.errors import SettingsError
from consumer.doctor.facts import Facts
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.supervisor.supervisor import Supervisor
from tests.support.memory.cluster_facts import cluster

#: A broker that is not there: what asks one would take minutes.
NOBODY = ["--bootstrap-servers", "127.0.0.1:1"]

#: Flags and variables, and what is said of them.
REFUSED: list[tuple[list[str], dict[str, str], str]] = [
    (["--admin-credentials-file", "/nope"], {}, "/nope cannot be read"),
    (["--admin-tls-cert", "/some/cert"], {}, "admin_tls_key: is not given"),
    (["--admin-host", "192.0.2.1"], {}, "'192.0.2.1' cannot be listened on"),
    (["--until", "2999-01-01"], {}, "--until: 2999-01-01 is to come"),
    (["--from", "2999-01-01"], {}, "--from: 2999-01-01 is to come"),
    (["--kafka", "no.such.property=1"], {}, "no.such.property"),
    (
        ["--traces", "on"],
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        'OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not spoken here',
    ),
    (["--traces", "on"], {"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "OTEL_*: a variable cannot be used"),
]


def by_doctor(flags: list[str]) -> None:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    doctor.run(parser.parse_args(["--no-model", *flags]))


def settings_of(flags: list[str]) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    return load_settings(parser.parse_args(flags), os.environ)


def by_one_worker(flags: list[str]) -> None:
    serve(settings_of(flags), lambda: 0)


def by_several(flags: list[str]) -> None:
    settings = settings_of(["--workers", "2", *flags]).for_run()
    supervisor = Supervisor(settings, lambda: 0, None, lambda _: None)
    try:
        supervisor.run()
    finally:
        supervisor.close()


@pytest.mark.parametrize("refuse", [by_doctor, by_one_worker, by_several])
@pytest.mark.parametrize(("flags", "variables", "said"), REFUSED)
def test_all_who_begin_a_worker_refuse_the_same(
    refuse: Callable[[list[str]], None],
    flags: list[str],
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    port = [] if "--admin-port" in flags else ["--admin-port", "0"]
    with pytest.raises(SettingsError) as raised:
        refuse([*NOBODY, *port, *flags])
    assert said in str(raised.value)


@pytest.mark.parametrize("refuse", [by_doctor, by_one_worker, by_several])
def test_what_a_language_needs_and_is_not_installed(
    refuse: Callable[[list[str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(setting: str) -> Any:
        raise SettingsError(setting, "is not installed", "install it")

    monkeypatch.setattr("consumer.codec.detection.LanguageDetector", missing)
    with pytest.raises(SettingsError, match="languages: is not installed"):
        refuse([*NOBODY, "--admin-port", "0", "--languages", "en"])


def test_a_port_that_is_in_use_is_no_reason_for_doctor_to_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that it asks for may run already."""
    monkeypatch.setattr(
        doctor, "_look_at_kafka", lambda settings, *_: (Facts(settings, cluster()), [])
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match="is already in use"):
            by_one_worker([*NOBODY, "--admin-port", str(port)])
        by_doctor([*NOBODY, "--admin-port", str(port)])
    out = capsys.readouterr().out
    assert "admin port" in out
    assert f"port {port} on 127.0.0.1 is already in use" in out
    by_doctor([*NOBODY, "--admin-port", "0"])
    assert "admin port" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            '[kafka]\n"sesion.timeout.ms" = 1',
            "kafka.sesion.timeout.ms in {file}: No such configuration property: "
            '"sesion.timeout.ms"; did you mean session.timeout.ms?',
        ),
        (
            '[kafka]\nsecurity.protocol = "SASL_SSL"',
            "kafka.security.protocol in {file}: SASL_SSL asks for kafka.sasl.mechanism, which is",
        ),
        ('admin_credentials_file = "/nope"', "admin_credentials_file in {file}: /nope cannot be"),
    ],
)
def test_what_is_found_late_is_named_by_where_it_was_written(
    toml: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(f"admin_port = 0\n{toml}\n")
    assert cli.main(["doctor", "--no-model", "--config", str(file), *NOBODY]) == 2
    assert f"nerstream: error: {said.format(file=file)}" in capsys.readouterr().err


def test_a_flag_and_a_variable_are_named_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERSTREAM_KAFKA_NO_SUCH", "1")
    assert cli.main(["doctor", "--no-model", "--admin-port", "0", *NOBODY]) == 2
    assert "error: NERSTREAM_KAFKA_NO_SUCH: No such config" in capsys.readouterr().err
    monkeypatch.delenv("NERSTREAM_KAFKA_NO_SUCH")
    given = ["produce", "-", "--topic", "x", "--kafka", "no.such=1", *NOBODY]
    assert cli.main(given) == 2
    assert "error: --kafka no.such: No such config" in capsys.readouterr().err
