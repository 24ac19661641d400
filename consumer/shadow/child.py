"""ShadowChild: the process of a second model, and this end of its pipe."""

from __future__ import annotations

import pickle
import subprocess

from consumer.contracts.child_program import start_program
from consumer.contracts.errors import NerstreamError
from consumer.contracts.messages import ModelInfo
from consumer.shadow.process import Answers, Call, Refused, first_message

#: Seconds for an answer; a text may be long, and the process gives way to all others.
ANSWER_S = 300.0

#: Seconds for a process that was told to end.
_END_S = 2.0

_PROGRAM = "from consumer.shadow.process import main; main()"
_NAME = "nerstream-shadow"


class ShadowFailed(NerstreamError):
    """The process of the second model ended, or does not answer."""


class ShadowChild:
    """Starts the process; it ends with its pipe. One thread at a time.

    Args:
        settings: the worker's, as JSON.
        model: `MODEL` or `MODEL@REVISION`.

    Raises:
        ShadowFailed: it cannot be started.
    """

    def __init__(self, settings: str, model: str) -> None:
        try:
            self._process, self._connection = start_program(_PROGRAM, _NAME)
        except OSError as error:
            raise ShadowFailed(f"its process cannot be started ({error})") from error
        self._first = first_message(settings, model)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def begun(self) -> ModelInfo | Refused:
        """The model, once it is loaded, or why it is not. Blocks, for a download too.

        Raises:
            ShadowFailed: the process ended.
        """
        try:
            self._connection.send_bytes(self._first)
            answer: ModelInfo | Refused = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            raise ShadowFailed(self._ending()) from None
        return answer

    def ask(self, call: Call) -> Answers:
        """What the model says of these texts. Blocks.

        Raises:
            ShadowFailed: the process ended, or takes too long.
        """
        try:
            self._connection.send_bytes(pickle.dumps(call, protocol=5))
            if not self._connection.poll(ANSWER_S):
                raise ShadowFailed(f"it has not answered for {ANSWER_S:.0f} s")
            found: Answers = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            raise ShadowFailed(self._ending()) from None
        return found

    def kill(self) -> None:
        """End the process at once, so that whoever waits for its answer goes on. Any thread."""
        self._process.kill()

    def close(self) -> None:
        """Close the pipe, and see the process end."""
        self._connection.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ending(self) -> str:
        """How it ended, for a person."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "its process has closed the pipe"
        if code < 0:
            return f"its process was ended by signal {-code}; for 9 look at the memory"
        return f"its process ended with exit code {code}"
