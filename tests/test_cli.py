from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from consumer import __version__, cli
from consumer.contracts.errors import KafkaProblem, NerstreamError, SettingsError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Puts a body in the place of `nerstream produce`."""

    def put(body: Callable[[], int]) -> None:
        module = types.ModuleType("consumer.commands.produce")

        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--batch-tokens", type=int)

        def run(arguments: argparse.Namespace) -> int:
            print(f"tokens {arguments.batch_tokens}")
            return body()

        vars(module).update(add_arguments=add_arguments, run=run)
        monkeypatch.setitem(sys.modules, "consumer.commands.produce", module)

    return put


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


def nerstream(
    *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=env,
    )


def test_help_names_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for name, help_line in cli.COMMANDS.items():
        assert f"{name} {help_line}" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"nerstream {__version__}\n"


def test_without_a_command_help_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: nerstream ")


def test_an_unknown_command_is_told_with_a_close_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["prodce", "x"]) == 2
    assert capsys.readouterr().err.endswith(
        "nerstream: error: there is no command prodce; did you mean produce?\n"
    )
    assert cli.main(["qqq"]) == 2
    assert capsys.readouterr().err.endswith(
        "there is no command qqq; nerstream --help lists them\n"
    )


def test_a_command_gets_its_arguments_and_gives_the_exit_code(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda: 7)
    assert cli.main(["produce", "--batch-tokens", "5"]) == 7
    assert capsys.readouterr() == ("tokens 5\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--batch-token", "5"], "unknown argument --batch-token; did you mean --batch-tokens?"),
        (["--batch-token=5"], "unknown argument --batch-token; did you mean --batch-tokens?"),
        (["--batch", "5"], "unknown argument --batch"),
        (["--qqq=secret"], "unknown argument --qqq"),
        (["extra"], "unknown argument extra"),
        (["--batch-tokens", "x"], "argument --batch-tokens: invalid int value: 'x'"),
    ],
)
def test_wrong_arguments_end_with_two_and_one_line(
    command: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    command(lambda: 0)
    assert cli.main(["produce", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"nerstream produce: error: {said}")
    assert "secret" not in last


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (KafkaProblem("no broker"), 1, ["nerstream: error: no broker"]),
        (NerstreamError(), 1, ["nerstream: error: NerstreamError"]),
        (
            SettingsError("--a", "b", "c", also=[SettingsError("--d", "e", "f")]),
            2,
            ["nerstream: error: --a: b; c", "nerstream: error: --d: e; f"],
        ),
    ],
)
def test_an_error_is_told_on_standard_error_in_a_line_for_each_fault(
    command: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
    error: NerstreamError,
    code: int,
    lines: list[str],
) -> None:
    command(raising(error))
    assert cli.main(["produce"]) == code
    assert capsys.readouterr().err.splitlines() == lines


def test_an_interrupt_ends_quietly_with_130(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(KeyboardInterrupt()))
    assert cli.main(["produce"]) == 130
    assert capsys.readouterr().err == ""


def test_an_unexpected_error_is_not_hidden(command: Callable[[Callable[[], int]], None]) -> None:
    command(raising(ZeroDivisionError("bug")))
    with pytest.raises(ZeroDivisionError):
        cli.main(["produce"])


PRINTS = """
import sys, types
from consumer.cli import main
module = types.ModuleType("consumer.commands.produce")
module.add_arguments = lambda parser: None
module.run = lambda arguments: print("x" * 10) or 0
sys.modules["consumer.commands.produce"] = module
sys.exit(main(["produce"]))
"""


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["-m", "consumer", "--help"], ""), (["-c", PRINTS], ""), (["-c", PRINTS], "1")],
)
def test_a_closed_pipe_ends_quietly_with_141(arguments: list[str], unbuffered: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=write_end,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            timeout=120,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from consumer.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'tokenizers', 'confluent_kafka', 'pydantic', 'rich'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


#: Modules that a command may import for its help, beside those that an interpreter has anyway. 400
#: take a quarter of a second of one core on the machine that they were counted on.
MOST_MODULES = 400

#: Libraries of which each alone would take longer than that, or a good part of it.
SLOW = {
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "confluent_kafka",
    "structlog",
    "prometheus_client",
    "fastavro",
    "requests",
    "httpx",
}


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_of_a_command_imports_little(name: str) -> None:
    script = (
        "import sys; before = set(sys.modules); from consumer.cli import main; "
        f"code = main(['{name}', '--help']); new = set(sys.modules) - before; "
        f"print(code, len(new), *sorted(new & {SLOW}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, count, *slow = done.stderr.split()
    assert (code, slow) == ("0", [])
    assert int(count) <= MOST_MODULES
    assert done.stdout.startswith(f"usage: nerstream {name} ")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_its_interface(name: str) -> None:
    module = importlib.import_module(f"consumer.commands.{name.replace('-', '_')}")
    assert re.match(rf"`nerstream {name}`", module.__doc__ or "")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert callable(module.run)


def test_a_wrong_setting_ends_the_command_before_anything_else() -> None:
    done = nerstream("run", "--batch-tokens=0", "--device=gpu", env={"NERSTREAM_DELIVERY": "x"})
    assert done.returncode == 2
    assert done.stdout == ""
    assert sorted(done.stderr.splitlines()) == [
        'nerstream: error: --batch-tokens: "0" is out of range; it must be a whole number of at'
        " least 1",
        'nerstream: error: --device: "gpu" is no device; it must be auto, cpu, cuda or cuda:N',
        'nerstream: error: NERSTREAM_DELIVERY: "x" is no choice;'
        " it must be one of exactly_once, at_least_once",
    ]
