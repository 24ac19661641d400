"""Our C: who can have it, and a program that watches what it touches."""

from __future__ import annotations

import os
import platform
import random
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import pytest

from consumer.tagging.engine.cpu.native_attention import load_kernel
from hatch_build import LIBRARIES
from tests.support.deploy.deploy_files import ROOT

has_compiler = platform.machine() == "x86_64" and shutil.which("cc") is not None
needs_compiler = pytest.mark.skipif(not has_compiler, reason="needs a C compiler on x86-64")

takes_heads = (_found := load_kernel()) is not None and _found.takes(32)
needs_kernel = pytest.mark.skipif(
    not takes_heads, reason="needs AVX2 and a C compiler at installation"
)


#: What mark-up is made of, in the ways in which it breaks; nothing that C leaves to Python.
MARKUP_PIECES = [
    *(
        "<",
        ">",
        "/",
        "-",
        "=",
        "'",
        '"',
        "&",
        ";",
        "#",
        "a",
        "b",
        "x",
        "0",
        "é",
        "中",
        "\U0001f5de",
    ),
    *(
        "</",
        "/>",
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<b>",
        "</b>",
        "<p",
        "</p>",
        "<BR/>",
        "<img ",
        "<td",
    ),
    *("&amp;", "&amp", "&notit;", "&notin;", "&ngt;", "&nGt;", "&CounterClockwiseContourIntegral;"),
    *("&#65;", "&#x41", "&#0;", "&#146;", "&#129", "&#xD800;", "&#1114112;", "&#x00000010FFFF;"),
    *("&#99999999999999999999", "<a href='", '<a b="', "<a b=", "<a/", "\t", "\n", " ", "\x00"),
]

#: A program in C for each source of ours.
HARNESSES = Path(__file__).parent / "native"

#: The sources of our C by the names of their harnesses.
SOURCES = {
    Path(source).stem: ROOT / source for library in LIBRARIES for source in library.source_paths
}

#: What the compiler may not say a word about.
WARNINGS = (
    *("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wcast-align", "-Wcast-qual", "-Wvla"),
    *("-Wstrict-prototypes", "-Wpointer-arith", "-Wformat=2", "-Wundef", "-Wdouble-promotion"),
    *("-Wnull-dereference", "-Werror"),
)

#: The compiler's sanitizers, which end a program at the first fault.
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class Watch(StrEnum):
    """Who looks at what a program touches."""

    #: The compiler's: addresses, and all behaviour that C does not define.
    SANITIZERS = "sanitizers"
    #: A machine of its own: also memory that is read before it was written.
    VALGRIND = "valgrind"


def run_watched(
    name: str,
    folder: Path,
    *arguments: str,
    watch: Watch = Watch.SANITIZERS,
    optimization: str = "-O1",
) -> str:
    """What the harness of a source says, whose memory is as large as it must be, while it is
    watched; no warnings either.

    Args:
        folder: for what is compiled.
        arguments: the harness's.
    """
    built = folder / f"{name}-{watch}"
    command = ["cc", "-std=gnu11", optimization, "-g", *WARNINGS, "-include", str(SOURCES[name])]
    command += [
        str(HARNESSES / f"{name}.c"),
        "-o",
        str(built),
        "-lm",
    ]
    compiled = subprocess.run(
        command + (list(SANITIZED) if watch is Watch.SANITIZERS else []),
        capture_output=True,
        text=True,
        check=False,
    )
    if "asan" in compiled.stderr and "cannot find" in compiled.stderr:
        pytest.skip("needs the compiler's sanitizers")
    assert compiled.returncode == 0, compiled.stderr
    under = ["valgrind", "--quiet", "--error-exitcode=99", "--track-origins=yes"]
    ran = subprocess.run(
        [*(under if watch is Watch.VALGRIND else ()), str(built), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def write_markup(path: Path, count: int) -> None:
    """Pieces of mark-up for the harness of `markup.c`, always the same."""
    rng = random.Random(1)
    with path.open("wb") as file:
        for _ in range(count):
            raw = "".join(rng.choices(MARKUP_PIECES, k=rng.randrange(12))).encode()
            file.write(len(raw).to_bytes(4, sys.byteorder) + raw)
