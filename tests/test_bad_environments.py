"""Every command where it was started badly: no traceback, and the exit code that it has elsewhere.

Encodings, streams that are full, closed or not there, no home, no name of the user, a folder that
is gone, variables of neighbours, and interrupts at each step of the start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consumer import cli
from consumer.kafka.tools.embedded import EmbeddedBroker

#: What a process does first that is to be in a bad environment. Users without a name, and signals
#: at the import of a module, come by variables.
SPOILED = """
import os, pwd, signal, sys
if "WITHOUT_NAME" in os.environ:
    def without_name(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")
    pwd.getpwuid = without_name
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("SIGNAL_AT"):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Finder())
sys.argv[0] = "nerstream"
from consumer.cli import main
"""

#: Runs the command of the process's own arguments as `nerstream` does.
DRIVER = f"{SPOILED}sys.exit(main())"

#: The same with many commands, one after the other: an interpreter is started and what they share
#: imported once, in the bad environment, then a process is forked for each. The arguments are a
#: file, and the commands, each after a comma. The file gets of each its exit code, and how long the
#: regular files are that output and errors went to.
FORKING_DRIVER = f"""{SPOILED}
import gc, itertools, json, stat
import consumer.app
# Else each copies all that was imported, when its collector looks through it at its end.
gc.freeze()
def length(stream):
    try:
        found = os.fstat(stream)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
into, *words = sys.argv[1:]
commands = [list(own) for comma, own in itertools.groupby(words, ",".__eq__) if not comma]
ends = []
for command in commands:
    child = os.fork()
    if child == 0:
        sys.argv[1:] = command
        sys.exit(main())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ends.append((code, length(1), length(2)))
with open(into, "w") as file:
    json.dump(ends, file)
os._exit(0)
"""

TEXT = "Angela Merkel besuchte São Paulo."
CONLL = "Angela B-PER\nMerkel I-PER\nvisited O\nSão B-LOC\nPaulo I-LOC\n"
ARTICLES = '{"id": "1", "body": "Angela Merkel in S\\u00e3o Paulo."}\n'


@dataclass(frozen=True)
class Environment:
    """A bad environment.

    Attributes:
        redirect: of the shell.
        variables: set beside the process's own; None takes one away.
        code: the exit code, where it is not the one that the command has elsewhere.
    """

    redirect: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    code: int | None = None


ENVIRONMENTS = {
    "ascii": Environment(variables={"PYTHONIOENCODING": "ascii"}),
    "posix, not coerced": Environment(
        variables={"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ),
    "all streams closed": Environment("<&- >&- 2>&-"),
    "standard error full": Environment("2>/dev/full"),
    "standard error closed": Environment("2>&-"),
    "standard error a closed pipe": Environment("2> >(exit)"),
    "nobody at home": Environment(
        variables={"HOME": None, "USER": None, "LOGNAME": None, "WITHOUT_NAME": "1"}
    ),
    "folders that are none": Environment(
        variables={"HOME": "/dev/null", "HF_HOME": "/dev/null/x", "TMPDIR": "/dev/null/y"}
    ),
    "a neighbour's metrics": Environment(variables={"PROMETHEUS_MULTIPROC_DIR": "/nowhere"}),
    "garbage": Environment(
        variables={
            "OMP_NUM_THREADS": "many",
            "COLUMNS": "-3",
            "LINES": "x",
            "TERM": "nonsense",
            "PYTHONWARNINGS": "garbage",
            "TZ": "Nowhere/None",
            "PYTHONUNBUFFERED": "1",
        }
    ),
}

#: Of each command a call that ends early with this code: the file is a folder, a broker is away.
EARLY = {
    "run": (["run", "--config", "{folder}"], 2),
    "doctor": (["doctor", "--config", "{folder}"], 2),
    "health": (["health", "--config", "{folder}"], 2),
    "demo": (["demo", "{folder}"], 2),
    "tag": (["tag", "{folder}"], 2),
    "produce": (["produce", "{folder}", "--topic", "São"], 2),
    "dead-letters": (["dead-letters", "list", "--config", "{folder}"], 2),
    "audit": (["audit", "--config", "{folder}"], 2),
    "find": (["find", "articles/0/1", "--config", "{folder}"], 2),
    "evaluate": (["evaluate", "{folder}/São"], 2),
    "compare": (["compare", "{folder}"], 2),
    "train": (
        ["train", "--train", "{folder}", "--dev", "{conll}", "--base-model", "x", "--output", "y"],
        2,
    ),
    "average": (["average", "a", "b", "--dev", "{folder}", "--output", "y"], 2),
    "bench": (["bench", "worker", "--articles", "{folder}"], 2),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Files for the arguments, by name."""
    folder = tmp_path_factory.mktemp("São")
    files = {"text": TEXT, "conll": CONLL, "articles": ARTICLES}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "empty").mkdir()
    return {"folder": str(folder / "empty"), **{name: str(folder / name) for name in files}}


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Its address."""
    with EmbeddedBroker() as embedded:
        yield embedded.bootstrap_servers


def start(
    arguments: Sequence[str],
    places: Mapping[str, str],
    environment: Environment = Environment(),
    shell_line: str = 'exec "$@"',
    driver: str = DRIVER,
    **options: Any,
) -> subprocess.Popen[bytes]:
    variables = {**os.environ, "NERSTREAM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    variables["PYTHONPATH"] = str(Path(cli.__file__).parents[1])
    for name, value in environment.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [
            *("bash", "-c", f"{shell_line} {environment.redirect}", "bash"),
            *(sys.executable, "-c", driver, *given(arguments, places)),
        ],
        **{
            "env": variables,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        },
    )
    return process


def given(arguments: Sequence[str], places: Mapping[str, str]) -> list[str]:
    return [argument.format(**places) for argument in arguments]


def end(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error, none of which holds a traceback."""
    with process:
        out, err = process.communicate(timeout=240)
    return judged(process.returncode, out, err)


def judged(code: int, out: bytes, err: bytes) -> tuple[int, str, str]:
    assert b"Traceback" not in out + err, (out + err).decode(errors="replace")
    assert b"Exception ignored" not in err, err.decode(errors="replace")
    return code, out.decode(errors="replace"), err.decode(errors="replace")


def call(
    arguments: Sequence[str],
    places: Mapping[str, str],
    environment: Environment = Environment(),
    **options: Any,
) -> tuple[int, str, str]:
    return end(start(arguments, places, environment, **options))


def call_each(
    commands: Sequence[Sequence[str]],
    places: Mapping[str, str],
    environment: Environment,
    folder: Path,
) -> list[tuple[int, str, str]]:
    """What `call` gives of each command, from one interpreter."""
    told = folder / "ends.json"
    words = [word for command in commands for word in (",", *command)]
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        process = start(
            [str(told), *words],
            places,
            environment,
            driver=FORKING_DRIVER,
            stdout=out,
            stderr=err,
        )
        with process:
            assert process.wait(240) == 0, (folder / "err").read_text(errors="replace")
    said, complained = (folder / "out").read_bytes(), (folder / "err").read_bytes()
    ends: list[tuple[int, str, str]] = []
    out_start = err_start = 0
    for code, out_end, err_end in json.loads(told.read_bytes()):
        ends.append(judged(code, said[out_start:out_end], complained[err_start:err_end]))
        out_start, err_start = out_end, err_end
    assert len(ends) == len(commands)
    assert (out_start, err_start) == (len(said), len(complained))
    return ends


def test_every_command_has_an_early_end() -> None:
    assert list(EARLY) == list(cli.COMMANDS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_wrong_argument_is_told_in_every_environment(
    environment: str, places: Mapping[str, str], tmp_path: Path
) -> None:
    bad = ENVIRONMENTS[environment]
    commands = [arguments for arguments, _ in EARLY.values()]
    # In the first of them each command imports all that it needs, in an interpreter of its own.
    if environment == next(iter(ENVIRONMENTS)):
        with ThreadPoolExecutor(3) as pool:
            ends = list(pool.map(lambda command: call(command, places, bad), commands))
    else:
        ends = call_each(commands, places, bad, tmp_path)
    for (_, code), (found, out, err) in zip(EARLY.values(), ends, strict=True):
        assert (found, out) == (code, "")
        if not bad.redirect:
            assert "error: " in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("redirect", "said"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "it is closed"),
        (">&- <&-", "it is closed"),
    ],
)
def test_help_that_cannot_be_written_is_a_failure(
    redirect: str, said: str, places: Mapping[str, str], tmp_path: Path
) -> None:
    commands = [["--help"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)]
    for code, out, err in call_each(commands, places, Environment(redirect), tmp_path):
        assert (code, out) == (1, "")
        assert err == (
            f"nerstream: error: standard output cannot be written ({said}); "
            "make room where it goes, or send it elsewhere with >\n"
        )


@pytest.mark.parametrize("redirect", ["<&-", "<&- 2>&-"])
@pytest.mark.parametrize(
    "arguments",
    [["compare", "-"], ["produce", "-", "--topic", "x", "--bootstrap-servers", "{broker}"]],
)
def test_a_standard_input_that_cannot_be_read_is_told(
    arguments: list[str], redirect: str, places: Mapping[str, str], broker: str
) -> None:
    code, out, err = call(arguments, {**places, "broker": broker}, Environment(redirect))
    assert (code, out) == (2, "")
    if "2>" not in redirect:
        assert err == (
            "nerstream: error: standard input: it cannot be read (it is closed); "
            "name a file, or give one with <\n"
        )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_working_folder_that_is_gone_is_told(
    name: str, places: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    gone = f'cd "{tmp_path}/gone" && rmdir "{tmp_path}/gone" && exec "$@"'
    arguments, _ = EARLY[name]
    process = start(arguments, places, shell_line=gone)
    code, out, err = end(process)
    assert (code, out) == (2, "")
    assert err == (
        "nerstream: error: working folder: it cannot be found (No such file or directory); "
        "change into one that exists, then start again\n"
    )


#: A call of each command, other than the worker, that goes on for longer than its start.
WORK = {
    "doctor": ["doctor", "--no-model", "--bootstrap-servers", "{broker}"],
    "health": ["health"],
    "demo": ["demo", "{articles}"],
    "tag": ["tag", "{text}"],
    "produce": ["produce", "-", "--topic", "x", "--bootstrap-servers", "{broker}"],
    "dead-letters": ["dead-letters", "list", "--bootstrap-servers", "{broker}"],
    "audit": ["audit", "--bootstrap-servers", "{broker}"],
    "find": ["find", "articles/0/1", "--bootstrap-servers", "{broker}"],
    "evaluate": ["evaluate", "{conll}"],
    "compare": ["compare", "{text}"],
    "train": [
        "train",
        "--train",
        "{conll}",
        "--dev",
        "{conll}",
        "--base-model",
        "bundled",
        "--output",
        "{folder}/x",
    ],
    "average": ["average", "bundled", "bundled", "--dev", "{conll}", "--output", "{folder}/y"],
    "bench": ["bench", "model", "--model", "bundled", "--number", "1", "--no-peers"],
}


def test_every_command_is_interrupted() -> None:
    assert {*WORK, "run"} == set(cli.COMMANDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["argparse", "pydantic_core", "rich", "torch"])
def test_a_signal_at_a_step_of_the_start_ends_quietly(
    step: str, number: signal.Signals, places: Mapping[str, str], broker: str
) -> None:
    reached = {**places, "broker": broker}
    at_step = Environment(variables={"SIGNAL_AT": step, "SIGNAL": str(int(number))})
    # What all of them do first is tried with each, what follows with one.
    calls = WORK if step == "argparse" else {"tag": WORK["tag"]}
    with ThreadPoolExecutor(3) as pool:
        ends = pool.map(lambda one: call(one, reached, at_step), calls.values())
        for name, (code, out, err) in zip(calls, ends, strict=True):
            quiet = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}[number]
            assert (name, code, out, err) == (name, quiet, "", "")


#: What the model's libraries meet on a machine that is not made for them.
HARD_WORK = Environment(
    variables={
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "WITHOUT_NAME": "1",
        "HOME": None,
        "USER": None,
        "LOGNAME": None,
        "TMPDIR": "/dev/null",
        "HF_HOME": "/dev/null/x",
        "TORCHINDUCTOR_CACHE_DIR": "/dev/null/y",
        "TRITON_CACHE_DIR": "/dev/null/z",
        "OMP_NUM_THREADS": "many",
    }
)


def test_articles_are_shown_where_nothing_is_as_it_should_be(places: Mapping[str, str]) -> None:
    code, out, _ = call(["tag", "--pretty", "{articles}"], places, HARD_WORK)
    assert code == 0
    assert "Angela Merkel PER" in out
    assert "S\\xe3o Paulo LOC" in out


def test_entities_that_cannot_be_written_are_a_failure(places: Mapping[str, str]) -> None:
    code, out, err = call(["tag", "{text}"], places, Environment(">/dev/full"))
    assert (code, out) == (1, "")
    assert err.startswith("nerstream: error: standard output cannot be written (No space left on")


def test_an_interrupt_while_input_is_awaited_ends_quietly(places: Mapping[str, str]) -> None:
    process = start(["tag", "-"], places, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(TEXT.encode() + b"\n")
    process.stdin.flush()
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "", "")
    assert json.loads(first)["entities"]


def test_counts_are_the_worker_s_own_whatever_a_neighbour_keeps(tmp_path: Path) -> None:
    script = (
        "import sys; from consumer.telemetry.registry import new_registry\n"
        "from consumer.telemetry.metrics import Metrics\n"
        "registry = new_registry(); Metrics(registry)\n"
        "from prometheus_client import values\n"
        "print(values.ValueClass.__name__)"
    )
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, name: str(tmp_path)},
            cwd=Path(cli.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert (done.stdout, done.stderr) == ("MutexValue\n", "")
    assert list(tmp_path.iterdir()) == []
