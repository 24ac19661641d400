from __future__ import annotations

import io
import os
import subprocess
import sys

from consumer.contracts.safe_streams import SafeWriter, styled
from tests.support.planted import WITH_NUL, harm_in


def writer(encoding: str = "utf-8") -> tuple[SafeWriter, io.BytesIO]:
    out = io.BytesIO()
    return SafeWriter(out, encoding=encoding, errors="backslashreplace"), out


def test_what_could_do_something_is_escaped_and_the_rest_is_not() -> None:
    stream, out = writer()
    assert stream.write("a\n\tb \x1b[31mŁódź\x9b\n") == 16
    print("x\r", "y", file=stream)
    stream.writelines(["\u202e", "\n"])
    stream.flush()
    assert out.getvalue().decode() == "a\n\tb \\x1b[31mŁódź\\x9b\nx\\r y\n\\u202e\n"


def test_the_styled_end_writes_in_order_and_as_it_is() -> None:
    stream, out = writer()
    end = styled(stream)
    stream.write("1\x1b")
    end.write("2\x1b[1m")
    stream.write("3\n")
    end.flush()
    assert out.getvalue() == b"1\\x1b2\x1b[1m3\n"
    assert (end.encoding, end.errors, end.isatty()) == ("utf-8", "backslashreplace", False)
    end.close()
    stream.write("on\n")


def test_another_stream_is_its_own_styled_end() -> None:
    stream = io.StringIO()
    assert styled(stream) is stream


def test_the_streams_of_a_command_let_nothing_through() -> None:
    """By the interpreter's own ways too: a print, a warning, a traceback."""
    program = (
        "import os, sys, warnings\n"
        "from consumer.standard_streams import take_standard_streams\n"
        "take_standard_streams()\n"
        "plant = os.environ['PLANT'] + chr(0)\n"
        "safe_lines = plant.replace(chr(10), ' ')\n"
        "print(safe_lines)\n"
        "print(safe_lines, file=sys.stderr)\n"
        "warnings.warn(safe_lines)\n"
        "sys.stdout.flush()\n"
        "raise ValueError(safe_lines)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env={**os.environ, "PLANT": WITH_NUL.replace("\x00", "")},
    )
    assert done.returncode == 1
    assert done.stdout.count(b"FORGED") == 7
    assert done.stderr.count(b"FORGED") >= 21
    assert harm_in(done.stdout) == []
    assert harm_in(done.stderr) == []
