"""An interrupt (Ctrl-C) of a command that runs to its end: no traceback, whatever it hits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

#: What a shell reports of a program that an interrupt ended: 128 + the signal.
INTERRUPTED = 130

#: The files, as frames name them, of the interpreter's own import.
_IMPORT = "<frozen importlib"

#: Until an interrupt that was raised where nothing can be is sent again.
_AGAIN_S = 0.02


def take_interrupts() -> None:
    """Handle interrupts from here on, unless the process was started to ignore them."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
        sys.unraisablehook = _unraisable


def leave_interrupts() -> None:
    """Let an interrupt end the process at once: there is nothing left to say or to put in order."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupted(_number: int, frame: FrameType | None) -> None:
    # A library that is interrupted in its import says that it is broken, or goes on without a part.
    # Nothing has begun by then that would have to be put in order.
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT):
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """In a finaliser or a callback an interrupt is told as a traceback and lost: send it again."""
    if issubclass(found.exc_type, KeyboardInterrupt):
        again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(found)
