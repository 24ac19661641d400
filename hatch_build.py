"""Compiles our own kernels when the package is built or installed, if there is a C compiler.

Without one the package is complete all the same: the worker computes by torch alone then.
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
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "consumer/tagging/engine/cpu/native"
SOURCES = (f"{FOLDER}/attention.c", f"{FOLDER}/layer.c")
LIBRARY = f"{FOLDER}/kernels.so"

#: No instructions of this machine's own: the kernels look at the processor when they are loaded.
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")


class NativeKernels(BuildHookInterface[Any]):
    """Puts the compiled kernels beside their sources, where both kinds of installation find it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is packed, an editable one too."""
        del version
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
            return
        compiler = shlex.split(os.environ.get("CC") or ("cc" if shutil.which("cc") else ""))
        if not compiler:
            self.app.display_warning(
                "no C compiler: on a CPU the model will be computed by torch alone, more slowly"
            )
            return
        # Under another name first: a worker may have the library of before open.
        fresh = library.with_suffix(f".{os.getpid()}")
        sources = [str(Path(self.root, source)) for source in SOURCES]
        command = [*compiler, *FLAGS, "-o", str(fresh), *sources]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", None) or str(error)
            self.app.display_warning(f"the kernels of its own were left out: {told.strip()}")
            fresh.unlink(missing_ok=True)
            return
        fresh.replace(library)
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{system}"
        build_data["artifacts"].append(LIBRARY)
