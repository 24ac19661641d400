"""The scanner in C for HTML that has nothing but tags, comments and references, where this
installation has it (`native/markup.c`).

It is compiled when the package is installed. Where there was no C compiler, or in a text there is
more than that, `consumer.codec.text.markup` reads by itself; both give one text.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from html.entities import html5
from pathlib import Path

from consumer.codec.text.elements import CONTENTS, NAMED, replacement

#: Where the installation puts the compiled scanner.
LIBRARY = Path(__file__).with_name("native") / "markup.so"

#: Bytes of a text above which Python reads it: each thread has room for twice as many.
_MOST_BYTES = 262_144

_log = logging.getLogger(__name__)


class _Room(threading.local):
    """Where a thread's texts are written: their own bytes, and the same as a view."""

    def __init__(self) -> None:
        self.bytes = bytearray(2 * _MOST_BYTES)
        self.place = (ctypes.c_char * len(self.bytes)).from_buffer(self.bytes)
        self.view = memoryview(self.bytes)


class NativeScanner:
    """Reads HTML. Any thread.

    Args:
        library: the compiled scanner's file.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is another library.
    """

    def __init__(self, library: Path) -> None:
        # It holds the interpreter: to let go of it takes longer than most texts do.
        loaded = ctypes.PyDLL(str(library))
        self._read = loaded.nerstream_text_of_markup
        self._read.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
        self._read.restype = ctypes.c_ssize_t
        self._room = _Room()
        add_reference, add_element = loaded.nerstream_add_reference, loaded.nerstream_add_element
        pair = (ctypes.c_char_p, ctypes.c_size_t)
        add_reference.argtypes = (*pair, *pair)
        add_element.argtypes = (*pair, *pair, ctypes.c_int)
        # Adding one again changes nothing, so that a library may be loaded twice.
        for name, character in html5.items():
            if not add_reference(*_counted(name), *_counted(character)):
                raise OSError(f"{library} has no room for the reference {name!r}")
        for name in NAMED:
            if not add_element(*_counted(name), *_counted(replacement(name)), name in CONTENTS):
                raise OSError(f"{library} has no room for the element {name!r}")

    def text(self, source: str) -> str | None:
        """As `consumer.codec.text.markup.without_markup`; None where that has to read it."""
        try:
            # Of half a surrogate pair, which JSON may hold, there is no UTF-8.
            raw = source.encode()
        except UnicodeEncodeError:
            return None
        if len(raw) > _MOST_BYTES:
            return None
        room = self._room
        size = self._read(raw, len(raw), room.place)
        return None if size < 0 else str(room.view[:size], "utf-8")


def _counted(text: str) -> tuple[bytes, int]:
    raw = text.encode()
    return raw, len(raw)


def load() -> NativeScanner | None:
    """The scanner of this installation, or None."""
    try:
        return NativeScanner(LIBRARY)
    except (OSError, AttributeError) as error:
        _log.debug("no scanner for HTML in C: %s", error)
        return None
