"""The files of a model's folder that are read: which they are, and that reading them is harmless.

A file may be a pipe that never ends, a device, a link to somewhere else, or larger than memory.
"""

from __future__ import annotations

import stat
from pathlib import Path

from consumer.contracts.errors import ModelError

#: What is read of a model's folder or repository; no pickled weights, no exports for other
#: runtimes, and nothing in folders below it.
READ_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")

#: Weights that only unpickling reads, or that are another library's; none is ever opened.
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")

#: Bytes of a file that is not weights. The largest tokenizer.json in use has some 40 MB.
MOST_BYTES = 96 * 2**20

_TOO_LARGE = "no configuration or tokenizer is so large, and reading it would take memory many fold"


def read_files(folder: Path) -> list[Path]:
    """The files of a folder that are read, by name."""
    return sorted(path for pattern in READ_FILES for path in folder.glob(pattern))


def check_files(name: str, folder: Path) -> None:
    """Refuse a folder of which a file cannot be read without harm.

    Args:
        name: the model, for errors.
        folder: of the model; or a snapshot in the hub's cache, whose files are links.

    Raises:
        ModelError: a file is no file, leads out of the folder, or is too large.
    """
    inside = [folder.resolve()]
    if folder.parent.name == "snapshots":
        inside.append((folder.parent.parent / "blobs").resolve())
    for path in read_files(folder):
        try:
            target = path.resolve(strict=True)
            found = target.stat()
        except (OSError, RuntimeError) as error:  # a link that leads nowhere, or to itself
            raise ModelError(
                f"model {name}: its {path.name} leads to nothing; copy or download it again"
            ) from error
        if not any(target.is_relative_to(place) for place in inside):
            raise ModelError(
                f"model {name}: its {path.name} is a link out of the folder, to {target}; put a "
                "copy of the file there, or name the folder that holds the files"
            )
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(
                f"model {name}: its {path.name} is {_kind(found.st_mode)} and no file; copy or "
                "download it again"
            )
        if path.suffix != ".safetensors" and found.st_size > MOST_BYTES:
            raise ModelError(
                f"model {name}: its {path.name} has {found.st_size:,} bytes, and at most "
                f"{MOST_BYTES:,} are read: {_TOO_LARGE}; copy or download it again"
            )


def pickled_in(folder: Path) -> list[str]:
    """Names of the files with weights that are not read."""
    return sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
    }
    return next((kind for is_it, kind in kinds.items() if is_it(mode)), "a device")
