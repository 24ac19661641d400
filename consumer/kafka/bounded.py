"""A call that may never return, made on a thread that can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Hung(Exception):
    """The call did not come back. It still runs, and keeps what it was given."""


def bounded(call: Callable[[], object], timeout_s: float) -> None:
    """Make a call, and wait for its end up to `timeout_s` seconds.

    Raises:
        Hung: it did not come back.
        BaseException: what the call raised.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as failure:  # raised below, by the thread that asked
            failures.append(failure)

    # A daemon: what never comes back must not keep the process either.
    thread = threading.Thread(target=run, name="nerstream-call", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise Hung(f"a call did not come back in {timeout_s:.0f} s")
    if failures:
        raise failures[0]
