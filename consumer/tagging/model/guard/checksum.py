"""The checksum of a model: of everything that is read of it, not of its weights alone.

Whoever exchanges the labels or the tokenizer changes the answers as well. The checksum is that of
the list that `sha256sum` writes, so that it can be had without nerstream:

    cd FOLDER
    LC_ALL=C ls | grep -E '\\.(json|txt|model|safetensors)$' | xargs sha256sum | sha256sum
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.folder_files import read_files

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Pins:
    """What a model must be.

    Attributes:
        sha256: checksums, of which it must have one; none lets any pass.
        required: whether it must be fixed: by its checksum, or by its commit where it is on the
            hub.
    """

    sha256: Sequence[str] = ()
    required: bool = False


#: Anything will do.
NO_PINS = Pins()


def checksum(name: str, folder: Path) -> str:
    """Of all files of a model's folder that are read, as 64 hexadecimal digits.

    Raises:
        ModelError: a file cannot be read.
    """
    listed = hashlib.sha256()
    for path in read_files(folder):
        listed.update(f"{sha256_of(name, path)}  {path.name}\n".encode())
    return listed.hexdigest()


def sha256_of(name: str, path: Path) -> str:
    """Of one file of a model.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"model {name}: its {path.name} cannot be read ({error.strerror}); copy or "
            "download it again, as a file that the worker's user may read"
        ) from error


def check_is_fixed(name: str, revision: str, pins: Pins, *, is_on_hub: bool) -> None:
    """Refuse a model that may be another tomorrow, where that is asked for.

    Args:
        name: the model, for errors.
        revision: as the settings have it.

    Raises:
        ModelError: it is neither fixed by its checksum nor by a commit.
    """
    if not pins.required or pins.sha256 or (is_on_hub and _COMMIT.fullmatch(revision)):
        return
    commit = "give the commit as revision, or " if is_on_hub else ""
    raise ModelError(
        f"model {name}: require_pinned_model is on, and nothing fixes what this model is; {commit}"
        "give model_sha256, which nerstream doctor shows"
    )


def check_checksum(name: str, folder: Path, pins: Pins) -> str | None:
    """Refuse a model that has none of the checksums, where there are any.

    Returns:
        Its checksum; None where it was not asked for.

    Raises:
        ModelError: see above.
    """
    if not pins.sha256:
        return None
    found = checksum(name, folder)
    if found not in pins.sha256:
        wanted = " or ".join(pins.sha256)
        raise ModelError(
            f"model {name}: its files have the checksum {found}, and model_sha256 is {wanted}; "
            "they are not the files that were checked: find out who changed them"
        )
    return found
