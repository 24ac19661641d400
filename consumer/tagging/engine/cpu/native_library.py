"""The library of our own kernels, where this installation has it.

They are C without any of torch's types (`native/`), compiled when the package is installed; see
docs/decisions/0014 and 0015. Where there was no C compiler there is no library, and what they do is
done by torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

#: Where the installation puts the compiled kernels.
LIBRARY = Path(__file__).with_name("native") / "kernels.so"

_Kernel = TypeVar("_Kernel")

_log = logging.getLogger(__name__)


def load_from_library(kind: Callable[[Path], _Kernel]) -> _Kernel | None:
    """A kernel of this installation, or None.

    Args:
        kind: makes it of the library's file; raises OSError where that cannot be loaded, and
            AttributeError where it is another library.
    """
    try:
        return kind(LIBRARY)
    except (OSError, AttributeError) as error:
        _log.debug("no kernels of our own: %s", error)
        return None
