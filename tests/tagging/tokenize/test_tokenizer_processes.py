"""Tokenising in processes: the answers of the tokenizer itself, and what becomes of a process."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from tokenizers import Tokenizer

from consumer.contracts.choices import Aggregation
from consumer.contracts.errors import TokenizerFailed
from consumer.tagging.tokenize.encoding import ArticleEncoding
from consumer.tagging.tokenize.tokenizer_child import Serve
from consumer.tagging.tokenize.tokenizer_options import TokenizerOptions
from consumer.tagging.tokenize.tokenizer_process import (
    TokenizerSpec,
    deserialise,
    serialise,
    spec_of,
    text_tokenizer_of,
)
from consumer.tagging.tokenize.tokenizer_processes import TextsEndTheProcess, TokenizerProcesses
from tests.support.models.faulty_tokenizers import (
    serve_nothing,
    serve_poisoned,
    serve_short_lived,
    serve_when_all_are_there,
)
from tests.support.models.tiny_models import (
    FAMILIES,
    SENTENCES,
    article,
    tag,
    tiny_folder,
    tiny_tagger,
)

PATIENCE_S = 120.0

ARTICLES = [
    *[[sentence] for sentence in SENTENCES],
    ["Two fields.", " ".join(SENTENCES)],
    [],
    ["", "   "],
    ["A lone surrogate \ud800 and [SEP] <s> in the text"],
    ["A long one. " * 400],
]


def spec(family: str = "bert-cased", strategy: Aggregation = Aggregation.WORD) -> TokenizerSpec:
    tokenizer = Tokenizer.from_file(str(tiny_folder(family) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return spec_of(tokenizer, TokenizerOptions(strategy, 62, 2, frozenset({0, 2, 3}), 1, 16))


def same(found: Sequence[ArticleEncoding], expected: Sequence[ArticleEncoding]) -> bool:
    """Equal to the last number, types and shapes too."""
    if [one.tokens for one in found] != [one.tokens for one in expected]:
        return False
    ours = [field for one in found for field in one.fields]
    theirs = [field for one in expected for field in one.fields]
    if [len(one.fields) for one in found] != [len(one.fields) for one in expected]:
        return False
    names = ("ids", "starts", "ends", "begins_unit", "windows")
    return all(
        np.array_equal(getattr(our, name), getattr(their, name))
        and getattr(our, name).dtype == getattr(their, name).dtype
        for our, their in zip(ours, theirs, strict=True)
        for name in names
    )


@pytest.fixture
def pair() -> Iterator[TokenizerProcesses]:
    processes = TokenizerProcesses([spec()], 2)
    yield processes
    processes.close()


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody waits for stays known."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("strategy", [Aggregation.WORD, Aggregation.SIMPLE, Aggregation.FIRST])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_travels_is_what_the_tokenizer_gives(family: str, strategy: Aggregation) -> None:
    """Without processes: the spec and the arrays, as they travel."""
    there = pickle.loads(pickle.dumps(spec(family, strategy)))
    expected = text_tokenizer_of(spec(family, strategy)).encode(ARTICLES)
    travelled = pickle.loads(
        pickle.dumps(serialise(text_tokenizer_of(there).encode(ARTICLES)), protocol=5)
    )
    assert same(deserialise(travelled), expected)


def test_nothing_to_encode() -> None:
    assert deserialise(serialise([])) == []


def test_a_process_gives_the_encodings_of_the_tokenizer(pair: TokenizerProcesses) -> None:
    expected = text_tokenizer_of(spec()).encode(ARTICLES)
    assert same(pair.encode(ARTICLES), expected)
    assert same(pair.encode(ARTICLES[:3]), expected[:3])
    assert pair.encode([]) == []


def test_the_text_of_a_special_token_is_text() -> None:
    text = [["it says [SEP] here"]]
    as_text = text_tokenizer_of(spec()).encode(text)
    as_token = text_tokenizer_of(replace(spec(), encodes_special_tokens=False)).encode(text)
    assert not same(as_text, as_token)


def test_calls_run_at_once(pair: TokenizerProcesses) -> None:
    """Each process has one call at a time, and both have one."""
    expected = text_tokenizer_of(spec()).encode(ARTICLES)
    found: list[bool] = []

    def ask() -> None:
        for _ in range(20):
            found.append(same(pair.encode(ARTICLES), expected))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == [True] * 80


def test_what_the_tokenizer_says_is_raised_and_the_process_goes_on(
    pair: TokenizerProcesses,
) -> None:
    before = pair.pids
    with pytest.raises(RuntimeError, match="TypeError"):
        pair.encode([[7]])  # type: ignore[list-item]
    assert pair.encode([["a"]])[0].tokens == 3
    assert pair.pids == before


def test_a_process_that_is_killed_is_replaced(
    pair: TokenizerProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    killed = pair.pids
    assert len(killed) == 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    expected = text_tokenizer_of(spec()).encode(ARTICLES)
    assert same(pair.encode(ARTICLES), expected)
    assert same(pair.encode(ARTICLES), expected)
    assert len(pair.pids) == 2
    assert set(pair.pids).isdisjoint(killed)
    assert "a process that tokenises ended (signal 9), a new one takes its place" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_to_the_whole_service_leave_the_processes_to_the_drain(
    pair: TokenizerProcesses, number: signal.Signals
) -> None:
    before = pair.pids
    for pid in before:
        os.kill(pid, number)
    for _ in range(4):
        assert len(pair.encode(ARTICLES)) == len(ARTICLES)
    assert pair.pids == before


def test_they_end_with_close() -> None:
    processes = TokenizerProcesses([spec()], 2)
    running = processes.pids
    processes.close()
    assert len(running) == 2
    assert not any(map(runs, running))


def test_they_end_with_the_object() -> None:
    processes = TokenizerProcesses([spec()], 1)
    (running,) = processes.pids
    del processes
    assert not runs(running)


def made(serve: Serve) -> TokenizerProcesses:
    return TokenizerProcesses([spec()], 1, serve)


def test_a_text_that_ends_each_process_is_told_from_the_others() -> None:
    processes = made(serve_poisoned)
    try:
        with pytest.raises(TextsEndTheProcess, match="ended 3 processes in a row"):
            processes.encode([["a"], ["poison"]])
        assert len(processes.encode([["a"]])) == 1
    finally:
        processes.close()


def test_processes_that_end_at_any_text_end_the_worker() -> None:
    processes = made(serve_short_lived)
    try:
        with pytest.raises(TokenizerFailed, match=r"exit code 3.*tokenizer_processes"):
            processes.encode([["a"]])
    finally:
        processes.close()


def test_processes_that_do_not_begin_end_the_start() -> None:
    with pytest.raises(TokenizerFailed, match=r"does not begin \(exit code 5\)"):
        made(serve_nothing)


def test_processes_begin_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSTREAM_TEST_FOLDER", str(tmp_path))
    TokenizerProcesses([spec()], 3, serve_when_all_are_there).close()


def test_the_main_module_of_the_worker_is_not_run_again(tmp_path: Path) -> None:
    """It may import torch, and may have no guard."""
    script = tmp_path / "embeds.py"
    script.write_text(
        "import pickle, sys\n"
        "from consumer.tagging.tokenize.tokenizer_processes import TokenizerProcesses\n"
        "print('run', flush=True)\n"
        "processes = TokenizerProcesses([pickle.loads(sys.stdin.buffer.read())], 2)\n"
        "print(processes.encode([['a']])[0].tokens)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        input=pickle.dumps(spec()),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"run\n3\n", b"")


def test_a_process_finds_what_the_worker_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the worker came by its modules."""
    (tmp_path / "of_its_own.py").write_text(
        "def serve(connection, spec):\n    connection.send_bytes(b'')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    TokenizerProcesses([spec()], 1, importlib.import_module("of_its_own").serve).close()


def refuse(*_: object, **__: object) -> NoReturn:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_a_machine_that_has_no_room_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said as what it is, by every call, so that no article is blamed for it."""
    processes = made(serve_poisoned)
    try:
        monkeypatch.setattr(subprocess, "Popen", refuse)
        for _ in range(2):
            with pytest.raises(
                TokenizerFailed, match=r"cannot be started.*temporarily unavailable"
            ):
                processes.encode([["poison"]])
        monkeypatch.undo()
        assert len(processes.encode([["a"]])) == 1
    finally:
        processes.close()


def test_a_machine_that_has_room_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        if started:
            refuse()
        started.append(own_popen(*arguments, **options))
        return started[0]

    own_popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(TokenizerFailed, match="cannot be started"):
        TokenizerProcesses([spec()], 2)
    assert started[0].poll() is not None


_WORKER = """
import pickle, sys, time

from consumer.tagging.tokenize.tokenizer_processes import TokenizerProcesses

processes = TokenizerProcesses([pickle.loads(sys.stdin.buffer.read())], 2)
print(*processes.pids, flush=True)
if sys.argv[1] == "killed":
    time.sleep(600)
"""


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_no_process_is_left_behind_by_a_worker(tmp_path: Path, end: str) -> None:
    """Neither by one that was killed, nor by one that never closed them."""
    script = tmp_path / "worker.py"
    script.write_text(_WORKER)
    worker = subprocess.Popen(
        [sys.executable, str(script), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(pickle.dumps(spec()))
    worker.stdin.close()
    pids = [int(pid) for pid in worker.stdout.readline().split()]
    assert len(pids) == 2
    if end == "killed":
        worker.kill()
    assert worker.wait(PATIENCE_S) == (-signal.SIGKILL if end == "killed" else 0)
    deadline = time.monotonic() + PATIENCE_S
    while any(runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if runs(pid)]
    worker.stdout.close()


def test_a_process_has_no_torch() -> None:
    """It would take seconds and hundreds of megabytes, in each."""
    program = (
        "import sys, consumer.tagging.tokenize.tokenizer_process; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_tagger_answers_the_same_with_processes() -> None:
    articles = [
        article(0, SENTENCES[0], " ".join(SENTENCES)),
        article(1, "A long one in Lisbon. " * 60),
    ]
    with_processes = tiny_tagger(tokenizer_processes=2)
    assert with_processes.encodings_at_once == 4
    assert tiny_tagger().encodings_at_once == 1
    assert tag(with_processes, articles).answers == tag(tiny_tagger(), articles).answers
