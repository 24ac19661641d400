"""pytest where oneDNN uses another instruction set than one: `... restricted ISA ARGUMENTS`.

What restricts it are variables, read when torch is imported. Whether they do is found out in the
same process, since each that imports torch takes seconds.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from functools import cache

import pytest
import torch

#: The exit code where it uses that one; beyond pytest's own.
NOT_RESTRICTED = 99

#: What oneDNN says in its log that it uses.
_ISA = re.compile(r"onednn_verbose.*,info,cpu,isa:(.*)")


@cache
def used_isa() -> str:
    """What oneDNN uses in this process, in its own words; it says so once."""
    own = os.dup(1)
    with tempfile.TemporaryFile() as log:
        sys.stdout.flush()
        os.dup2(log.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.ops.mkldnn._reorder_linear_weight(torch.ones(32, 32), 32)
            # It writes as C does.
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(own, 1)
            os.close(own)
        log.seek(0)
        found = _ISA.search(log.read().decode())
    return found[1] if found else ""


if __name__ == "__main__":
    if used_isa() == sys.argv[1]:
        sys.exit(NOT_RESTRICTED)
    sys.exit(pytest.main(sys.argv[2:]))
