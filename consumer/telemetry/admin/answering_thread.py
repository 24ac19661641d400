"""AnsweringThread: calls pages, one after the other, beside the thread of the sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from queue import SimpleQueue

from consumer.telemetry.admin.messages import Answer, Page, Request

_Job = tuple[Page, Request, "asyncio.Future[tuple[Answer, float]]"]


class AnsweringThread:
    """A page that hangs, as one that waits for a lock of a stage that hangs, holds up no other
    thread, and nobody who ends the process: the thread is a daemon.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def answer(self, page: Page, request: Request) -> tuple[Answer, float]:
        """The page's answer, and the seconds of the processor that it cost."""
        done: asyncio.Future[tuple[Answer, float]] = asyncio.get_running_loop().create_future()
        self._jobs.put((page, request, done))
        return await done

    def close(self) -> None:
        """The thread ends after what it is at."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            page, request, done = job
            if done.cancelled():
                continue
            before = time.thread_time()
            result: Answer | Exception
            try:
                result = page(request)
            except Exception as error:
                result = error
            cost_s = time.thread_time() - before
            # The loop is closed where the server was, meanwhile.
            with contextlib.suppress(RuntimeError):
                done.get_loop().call_soon_threadsafe(_tell, done, result, cost_s)


def _tell(
    done: asyncio.Future[tuple[Answer, float]], result: Answer | Exception, cost_s: float
) -> None:
    if done.cancelled():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result((result, cost_s))
