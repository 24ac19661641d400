"""Compiles the attention kernel when the package is built or installed, if there is a C compiler.

Without one the package is complete all the same: the worker's attention is torch's then.
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

SOURCE = "consumer/tagging/native/attention.c"
LIBRARY = "consumer/tagging/native/attention.so"

#: No instructions of this machine's own: the kernel looks at the processor when it is loaded.
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")


class AttentionKernel(BuildHookInterface[Any]):
    """Puts the compiled kernel beside its source, where both kinds of installation find it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is packed, an editable one too."""
        del version
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
            return
        compiler = shlex.split(os.environ.get("CC") or ("cc" if shutil.which("cc") else ""))
        if not compiler:
            self.app.display_warning("no C compiler: attention on a CPU will be torch's own")
            return
        # Under another name first: a worker may have the library of before open.
        fresh = library.with_suffix(f".{os.getpid()}")
        command = [*compiler, *FLAGS, "-o", str(fresh), str(Path(self.root, SOURCE))]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", None) or str(error)
            self.app.display_warning(f"the attention kernel was left out: {told.strip()}")
            fresh.unlink(missing_ok=True)
            return
        fresh.replace(library)
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{system}"
        build_data["artifacts"].append(LIBRARY)
