"""TokenizerProcesses: tokenising in processes beside the worker's own.

A tokenizer works outside the interpreter's lock, but its answers are fetched under the lock. That
is more than half of what a worker does in Python for an article. On a GPU it bounds one worker:
docs/decisions/0013.
"""

from __future__ import annotations

import logging
import pickle
import weakref
from collections.abc import Iterable, Sequence
from queue import SimpleQueue

from consumer.contracts.errors import TokenizerFailed
from consumer.tagging.tokenize.encoding import ArticleEncoding
from consumer.tagging.tokenize.tokenizer_child import Serve, TokenizerChild
from consumer.tagging.tokenize.tokenizer_process import (
    Call,
    Failed,
    SerialisedEncodings,
    TokenizerSpec,
    deserialise,
    serve,
)

#: Processes that a call may outlive before its texts are given up. One may be killed for want of
#: memory that another program took; three in a row are the text's doing, or nothing works.
_ATTEMPTS = 3

#: What no tokenizer stumbles over.
_HARMLESS = Call(0, [["a"]])

_log = logging.getLogger(__name__)


class TextsEndTheProcess(Exception):
    """Tokenising these texts ended every process that tried, and other texts did not."""


class TokenizerProcesses:
    """The `TextTokenizer`s of one model, or of several, in some processes; each has them all.

    Any threads; as many calls run at once as there are processes.

    The processes end with `close`, with this object, or with the interpreter, however that ends.

    Args:
        specs: the tokenizers.
        count: processes; all have begun when this returns.
        serve: what they run.

    Raises:
        TokenizerFailed: they do not begin.
    """

    def __init__(self, specs: Sequence[TokenizerSpec], count: int, serve: Serve = serve) -> None:
        self.count = count
        self._processes: list[TokenizerChild] = []
        # Ended whatever happens, also where one does not begin, or the interpreter ends first.
        self._end = weakref.finalize(self, _end, self._processes)
        self._idle: SimpleQueue[TokenizerChild] = SimpleQueue()
        try:
            # First all are started, then all are told what to do, and only then the first is waited
            # for. So they import and load their tokenizers side by side.
            for _ in range(count):
                self._processes.append(TokenizerChild(specs, serve))
            for process in self._processes:
                process.instruct()
            for process in self._processes:
                process.begun()
                self._idle.put(process)
        except TokenizerFailed:
            self.close()
            raise

    def encode(self, articles: Sequence[Sequence[str]], number: int = 0) -> list[ArticleEncoding]:
        """As `TextTokenizer.encode`. Blocks until a process has done it.

        A process that ends meanwhile is replaced, and the call made again.

        Args:
            number: of the tokenizer, in the order of `specs`.

        Raises:
            TextsEndTheProcess: three processes in a row ended.
            RuntimeError: what the tokenizer said.
            TokenizerFailed: no process lives long enough, whatever the texts.
        """
        call = pickle.dumps(Call(number, articles), protocol=5)
        process = self._idle.get()
        try:
            answer = _answer(process, call)
        finally:
            self._idle.put(process)
        # Read here, so that the process works for another thread meanwhile.
        found: SerialisedEncodings | Failed = pickle.loads(answer)
        if isinstance(found, Failed):
            raise RuntimeError(found.message)
        return deserialise(found)

    def close(self) -> None:
        """End the processes. No call may be under way."""
        self._end()

    @property
    def pids(self) -> list[int]:
        """Process ids of the processes that run."""
        return [one.pid for one in self._processes if one.pid is not None]


class OneTokenizer:
    """One of the tokenizers of some processes.

    Args:
        processes: that have it.
        number: in the order of their `specs`.
    """

    def __init__(self, processes: TokenizerProcesses, number: int) -> None:
        self.processes = processes
        self._number = number

    def encode(self, articles: Sequence[Sequence[str]]) -> list[ArticleEncoding]:
        """See `TokenizerProcesses.encode`."""
        return self.processes.encode(articles, self._number)


def _answer(process: TokenizerChild, call: bytes) -> bytes:
    for attempt in range(1, _ATTEMPTS + 1):
        answer = process.ask(call)
        if answer is not None:
            return answer
        _log.warning(
            "a process that tokenises ended (%s), a new one takes its place", process.ending
        )
        process.replace()
        if attempt == _ATTEMPTS and process.ask(pickle.dumps(_HARMLESS, protocol=5)) is None:
            raise TokenizerFailed(
                f"processes that tokenise end by themselves ({process.ending}); give them memory, "
                "or set tokenizer_processes to 0"
            )
    raise TextsEndTheProcess(f"tokenising ended {_ATTEMPTS} processes in a row")


def _end(processes: Iterable[TokenizerChild]) -> None:
    for process in processes:
        process.close()
    for process in processes:
        process.join()
