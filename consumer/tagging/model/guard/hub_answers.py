"""What a hub answered, where it is not what a hub answers: a captive portal, a proxy, a cut line.

`huggingface_hub` compares sizes alone. It names a file that it keeps by the digest that the hub
gave. Here the content is checked against that digest.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import huggingface_hub

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.folder_files import read_files

_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")

#: What the library says of a file that has not the size that was announced.
_OTHER_SIZE = re.compile(r"should be of size (\d+) but has size (\d+)(?: \(([^)]*)\))?")

#: Words of the errors of what cannot be read as JSON, by the library's HTTP client or its own.
_NO_JSON = ("JSONDecodeError", "Expecting value", "ValidationError")


def no_hub(name: str, what: str) -> str:
    """What to say where something answers in the place of the hub."""
    return (
        f"model {name}: what answers at {huggingface_hub.constants.ENDPOINT} is no Hugging Face "
        f"hub ({what}); see whether a proxy or a portal that wants a login is in between, or point "
        "--model at a local folder"
    )


def tell_of_answer(name: str, error: Exception) -> str | None:
    """What to say of an error that shows that something else answered; None where it does not."""
    described = f"{type(error).__name__}: {error}"
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        return no_hub(name, "its answer lacks what a hub says")
    if any(word in described for word in _NO_JSON):
        return no_hub(name, "its answer is not JSON")
    return None


def broken_off(name: str, what: str) -> str:
    """What to say of a download that does not come to its end."""
    return (
        f"model {name}: the download from {huggingface_hub.constants.ENDPOINT} broke off ({what}); "
        "start again, and where it happens again see what is in between"
    )


def other_size(name: str, error: Exception) -> str | None:
    """What to say of a file that came in another size than was announced; None of other errors."""
    found = _OTHER_SIZE.search(str(error))
    if found is None:
        return None
    announced, came, file = found.groups()
    return (
        f"model {name}: of {file or 'a file'} the hub announced {int(announced):,} bytes and sent "
        f"{int(came):,}; start again, and where it happens again see what is in between"
    )


def check_downloaded(name: str, snapshot: Path) -> None:
    """Hold the files of a new download against the digests that the hub gave for them.

    Args:
        name: the model, for errors.
        snapshot: folder in the cache, whose files are links to those named by their digests.

    Raises:
        ModelError: a file is another. Such are removed, so that they are fetched anew.
    """
    others = [(path, path.resolve()) for path in read_files(snapshot)]
    others = [(path, blob) for path, blob in others if not _is_as_named(blob)]
    for path, blob in others:
        path.unlink()
        blob.unlink(missing_ok=True)
    for path, blob in others:
        raise ModelError(
            f"model {name}: the hub sent a {path.name} that has another digest than it announced "
            f"({blob.name[:12]}...); it was removed: start again, and where it happens again see "
            "what is in between"
        )


def _is_as_named(blob: Path) -> bool:
    """Whether a file's name is its digest: SHA-256 of large files, else as git names content."""
    if _SHA256.fullmatch(blob.name):
        with blob.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == blob.name
    if _SHA1.fullmatch(blob.name):
        content = blob.read_bytes()
        # Of git's own making, and no defence against who chooses the content.
        named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return named.hexdigest() == blob.name
    return True
