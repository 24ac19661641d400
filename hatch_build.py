"""Compiles our own C when the package is built or installed, if there is a C compiler.

Without one the package is complete all the same: what the C does is then done more slowly.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Library(NamedTuple):
    """A library and the C that it is made of; all in one folder."""

    folder: str
    sources: tuple[str, ...]
    name: str
    #: Processors that it is for; empty for any.
    processors: tuple[str, ...]
    #: What is the matter without it.
    without: str

    @property
    def path(self) -> str:
        """Of the library, in the repository."""
        return f"{self.folder}/{self.name}"

    @property
    def source_paths(self) -> list[str]:
        """Of its sources, in the repository."""
        return [f"{self.folder}/{source}" for source in self.sources]


KERNELS = Library(
    "consumer/tagging/engine/cpu/native",
    ("attention.c", "layer.c"),
    "kernels.so",
    ("x86_64",),
    "on a CPU the model will be computed by torch alone, more slowly",
)
MARKUP = Library(
    "consumer/codec/text/native",
    ("markup.c",),
    "markup.so",
    (),
    "HTML will be read by Python, more slowly",
)
LIBRARIES = (KERNELS, MARKUP)

#: No instructions of this machine's own: the kernels look at the processor when they are loaded.
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")


class NativeLibraries(BuildHookInterface[Any]):
    """Puts each library beside its sources, where both kinds of installation find it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is packed, an editable one too."""
        del version
        for library in LIBRARIES:
            Path(self.root, library.path).unlink(missing_ok=True)
        wanted = [
            library
            for library in LIBRARIES
            if not library.processors or platform.machine() in library.processors
        ]
        if not sys.platform.startswith("linux"):
            return
        compiler = shlex.split(os.environ.get("CC") or ("cc" if shutil.which("cc") else ""))
        if not compiler:
            for library in wanted:
                self.app.display_warning(f"no C compiler: {library.without}")
            return
        made = [library.path for library in wanted if self._compile(compiler, library)]
        if made:
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{system}"
            build_data["artifacts"].extend(made)

    def _compile(self, compiler: list[str], library: Library) -> bool:
        """Whether it could be made."""
        path = Path(self.root, library.path)
        # Under another name first: a worker may have the library of before open.
        fresh = path.with_suffix(f".{os.getpid()}")
        sources = [str(Path(self.root, source)) for source in library.source_paths]
        try:
            subprocess.run(
                [*compiler, *FLAGS, "-o", str(fresh), *sources],
                check=True,
                capture_output=True,
                text=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            told = (getattr(error, "stderr", None) or str(error)).strip()
            self.app.display_warning(f"{library.name} was left out, {library.without}: {told}")
            fresh.unlink(missing_ok=True)
            return False
        fresh.replace(path)
        return True
