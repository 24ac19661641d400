"""`nerstream health`: asks the worker with these settings whether it is well."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from consumer.contracts.errors import SettingsError
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say, tell_error

#: The settings that say where and how the admin port listens.
_SETTINGS = ("admin_host", "admin_port", "admin_tls_cert", "admin_tls_key")

#: Seconds until a worker that does not answer counts as not well.
TIMEOUT_S = 4.0

#: Where to ask what listens on every address.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

#: Processes below the one that `--of` names that are looked at: a shell or an init between.
_DEPTH = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to ask, and where."""
    parser.description = (
        "Ask the worker that runs with these settings, on this machine, whether it makes progress. "
        "Exit code 0 where it does, 1 where it does not or does not answer, 2 where the settings "
        "are wrong. For the health check of a container."
    )
    parser.add_argument(
        "--ready", action="store_true", help="ask whether it works, and not only whether it lives"
    )
    parser.add_argument(
        "--of",
        type=_process,
        metavar="PID",
        help="take the flags of this process, or of the one below it, that is nerstream run, "
        "in place of those given here: 1 in a container",
    )
    add_settings_arguments(parser, _SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Ask; 0 where it is well, else 1.

    Raises:
        SettingsError: a setting is wrong, or leaves the port open.
    """
    found = None if arguments.of is None else _arguments_of(arguments.of)
    settings = load_settings(arguments if found is None else found, os.environ)
    if settings.admin_port == 0:
        raise SettingsError(
            "admin_port", "is 0, a free port that the worker's log alone names", "choose one"
        )
    return _ask(settings, "/readyz" if arguments.ready else "/healthz")


def _ask(settings: Settings, path: str) -> int:
    # Imported here, so that `--help` does not wait for them.
    import http.client
    import ssl

    host = _HERE.get(settings.admin_host, settings.admin_host)
    scheme = "https" if settings.admin_tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    address = f"{scheme}://{shown}:{settings.admin_port}{path}"
    connection = http.client.HTTPConnection(host, settings.admin_port, timeout=TIMEOUT_S)
    if settings.admin_tls_cert:
        # The certificate is for the name that others use, and nothing secret is sent or told.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            host, settings.admin_port, timeout=TIMEOUT_S, context=context
        )
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read(1 << 16).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as failure:
            tell_error(f"{address} does not answer ({failure or type(failure).__name__})")
            return 1
    if answer.status != http.client.OK:
        tell_error(f"{address} answers {answer.status}: {text}")
        return 1
    say(text)
    return 0


def _arguments_of(process: int) -> argparse.Namespace | None:
    """The arguments of the worker that this process is, or that runs below it; None where there is
    none."""
    # Imported here: the settings' flags of another command.
    from consumer.argument_parser import ArgumentParser
    from consumer.commands.run import add_arguments as add_arguments_of_run

    for flags in _workers(process, _DEPTH):
        parser = ArgumentParser(prog="nerstream run")
        add_arguments_of_run(parser)
        return parser.parse_known_args(flags)[0]
    return None


def _workers(process: int, depth: int) -> Iterator[list[str]]:
    """The flags of each `nerstream run` of this user, the process's own first."""
    folder = Path(f"/proc/{process}")
    with contextlib.suppress(OSError):
        if folder.stat().st_uid == os.getuid():
            words = (folder / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
            yield from _flags(words[:-1])
    if depth == 0:
        return
    with contextlib.suppress(OSError):
        for child in (folder / f"task/{process}/children").read_text().split():
            yield from _workers(int(child), depth - 1)


def _flags(words: list[str]) -> Iterator[list[str]]:
    """What stands behind `nerstream run` or `python -m consumer run`."""
    for place, word in enumerate(words[:-1]):
        is_program = Path(word).name == "nerstream" or words[place - 1 : place + 1] == [
            "-m",
            "consumer",
        ]
        if is_program and words[place + 1] == "run":
            yield words[place + 2 :]
            return


def _process(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(
        f'"{text}" is no number of a process; 1 is a container\'s first'
    )
