"""From the name of a model to the folder that holds it: hub id, local folder or `bundled`."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars, tqdm
from huggingface_hub.utils import logging as hub_logging

from consumer.contracts.errors import ModelError, first_line
from consumer.contracts.safe_streams import styled
from consumer.tagging.model.config import ADAPTER_CONFIG, adapter_alone
from consumer.tagging.model.guard.checksum import (
    NO_PINS,
    Pins,
    check_checksum,
    check_is_fixed,
    sha256_of,
)
from consumer.tagging.model.guard.folder_files import READ_FILES, check_files
from consumer.tagging.model.guard.hub_answers import (
    broken_off,
    check_downloaded,
    no_hub,
    other_size,
    tell_of_answer,
)
from consumer.tagging.model.guard.other_formats import no_weights, no_weights_on_hub
from consumer.tagging.model.weights import INDEX

#: The name of the model that ships with the package, and where it lies.
BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).resolve().parents[2] / "models" / "minilm-l6-ner"

#: Seconds to wait for the hub's first answer. It is asked once, so that a worker without a way
#: to the hub says so at once.
HUB_TIMEOUT_S = 10.0

#: Hexadecimal digits of the digest that names a folder's weights.
DIGEST_DIGITS = 12

_UNWANTED_FILES = ["*/*"]

_log = logging.getLogger(__name__)

#: Errors of a place that cannot be written.
_NO_PLACE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on this machine.

    Attributes:
        name: what messages and metrics call it: `bundled`, the hub id, or the folder's own name,
            since its path says nothing elsewhere and tells of this machine.
        path: folder with config, tokenizer and safetensors weights.
        revision: commit of the hub repository, or `sha256:` and the beginning of the digest of
            the folder's weights.
    """

    name: str
    path: Path
    revision: str


def find_model_folder(name: str, revision: str, pins: Pins = NO_PINS) -> ModelFolder:
    """Find a model, downloading it where it is on the hub and not yet here. Blocks.

    Args:
        name: `bundled`, a folder, or a hub id. What exists as a folder is taken for one.
        revision: commit, tag or branch of a hub repository; empty takes `main`.
        pins: what it must be.

    Raises:
        ModelError: there is no such model, the hub cannot be reached or answers with something
            else, a file of it is not one that can be read without harm, or it is not what `pins`
            say.
    """
    found = _found(name, revision, pins)
    checked = check_checksum(name, found.path, pins)
    if checked is not None:
        _log.info("model %s: its files have the checksum %s, as model_sha256", name, checked)
    return found


def _found(name: str, revision: str, pins: Pins) -> ModelFolder:
    if name == BUNDLED:
        if not BUNDLED_FOLDER.is_dir():
            raise ModelError(
                f"model {BUNDLED}: {BUNDLED_FOLDER} is missing from this installation; install "
                "nerstream again, or name another model with --model"
            )
        return _local(BUNDLED, BUNDLED, BUNDLED_FOLDER)
    # `Path.expanduser` fails where there is no home, or no user of the name after the ~.
    folder = Path(os.path.expanduser(name))  # noqa: PTH111
    if folder.is_dir():
        # A link keeps its own name: it is what a person chose to call the model.
        named = folder if folder.name not in ("", "..") else folder.resolve()
        check_is_fixed(name, revision, pins, is_on_hub=False)
        return _local(name, named.name or name, folder)
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise ModelError(
            f"model {name}: no such folder; --model takes a local folder, a Hugging Face hub id "
            f"(OWNER/NAME) or {BUNDLED}"
        )
    check_is_fixed(name, revision, pins, is_on_hub=True)
    return _hub(name, revision or "main")


def _local(asked: str, name: str, folder: Path) -> ModelFolder:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(_no_weights(asked, folder))
    # A pipe, which `check_files` refuses, would be waited for.
    check_files(asked, folder)
    digest = hashlib.sha256()
    for path in weights:
        digest.update(bytes.fromhex(sha256_of(asked, path)))
    return ModelFolder(name, folder, f"sha256:{digest.hexdigest()[:DIGEST_DIGITS]}")


class _Bar(tqdm):
    """The hub's own bar, which moves the cursor; no name of a file stands in it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["file"] = styled(sys.stderr)
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]


def _hub(name: str, revision: str) -> ModelFolder:
    # Its retries would write a line each; what they end in is said once, below.
    hub_logging.set_verbosity_error()
    if sys.stderr.isatty():
        enable_progress_bars()
    else:
        disable_progress_bars()
    try:
        commit = _commit(name, revision)
        is_here = _is_cached(name, commit)
        path = Path(
            huggingface_hub.snapshot_download(
                name,
                revision=commit,
                allow_patterns=list(READ_FILES),
                ignore_patterns=_UNWANTED_FILES,
                local_files_only=is_here,
                tqdm_class=_Bar,
            )
        )
        check_files(name, path)
        if not is_here:
            check_downloaded(name, path)
    except (hub_errors.LocalEntryNotFoundError, hub_errors.OfflineModeIsEnabled) as error:
        raise ModelError(_unreachable(name, revision)) from error
    except hub_errors.GatedRepoError as error:
        raise ModelError(
            f"model {name}: its owner asks for a permission that this machine has no token for; "
            "set HF_TOKEN, or point --model at a local folder"
        ) from error
    except hub_errors.RevisionNotFoundError as error:
        raise ModelError(
            f"model {name}: the hub has no revision {revision!r} of it; give --revision a commit, "
            "tag or branch that it has"
        ) from error
    except hub_errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"model {name}: neither a local folder nor a model on the Hugging Face hub (a private "
            "one needs HF_TOKEN); check --model"
        ) from error
    except (hub_errors.HfHubHTTPError, OSError) as error:
        if told := _unwritable(name, error) or other_size(name, error):
            raise ModelError(told) from error
        raise ModelError(f"{_unreachable(name, revision)} ({first_line(error)})") from error
    except ModelError:
        raise
    except Exception as error:  # what its libraries make of an answer that is none
        told = tell_of_answer(name, error) or broken_off(name, first_line(error))
        raise ModelError(told) from error
    if not any(path.glob("*.safetensors")):
        adapter = (path / ADAPTER_CONFIG).is_file()
        raise ModelError(adapter_alone(name, path) if adapter else no_weights_on_hub(name))
    return ModelFolder(name, path, path.name)


def _commit(name: str, revision: str) -> str:
    """The commit that a revision stands for now; the last known one where the hub cannot be
    reached."""
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        answer = huggingface_hub.HfApi().model_info(
            name, revision=revision, timeout=HUB_TIMEOUT_S, expand=["sha"]
        )
    except (hub_errors.RepositoryNotFoundError, hub_errors.RevisionNotFoundError):
        raise
    except Exception as error:  # its HTTP library's errors, which differ between versions
        try:
            path = huggingface_hub.snapshot_download(name, revision=revision, local_files_only=True)
        except (hub_errors.LocalEntryNotFoundError, OSError):
            if told := tell_of_answer(name, error):
                raise ModelError(told) from error
            raise hub_errors.LocalEntryNotFoundError(first_line(error)) from error
        return Path(path).name
    if not _COMMIT.fullmatch(str(answer.sha)):
        raise ModelError(no_hub(name, f"it names {str(answer.sha)[:60]!r} as the commit"))
    return str(answer.sha)


def _is_cached(name: str, commit: str) -> bool:
    """Whether this commit is here, so that a pinned model starts without the hub."""
    try:
        path = huggingface_hub.snapshot_download(name, revision=commit, local_files_only=True)
    except (hub_errors.LocalEntryNotFoundError, OSError):
        return False
    # An interrupted download leaves a folder too; weights are its largest and last part.
    return any(Path(path).glob("*.safetensors")) and (Path(path) / "config.json").is_file()


def _unwritable(name: str, error: Exception) -> str | None:
    """What to say where the download has no place; None of other errors."""
    if not isinstance(error, OSError) or error.errno not in _NO_PLACE:
        return None
    return (
        f"model {name}: the download cannot be kept at {error.filename or _cache()} "
        f"({error.strerror}); set HF_HOME to a folder that the worker may write and that has room, "
        "or point --model at a local folder that holds the model"
    )


def _cache() -> str:
    return str(huggingface_hub.constants.HF_HUB_CACHE)


def _unreachable(name: str, revision: str) -> str:
    return (
        f"model {name}: the Hugging Face hub cannot be reached and no copy of revision "
        f"{revision!r} is on this machine; point --model at a local folder that holds the model, "
        f"or use --model {BUNDLED}"
    )


def _no_weights(name: str, folder: Path) -> str:
    if (folder / ADAPTER_CONFIG).is_file():
        return adapter_alone(name, folder)
    if (folder / INDEX).is_file():
        return (
            f"model {name}: all files of weights that its {INDEX} names are missing; copy or "
            "download them"
        )
    return no_weights(name, folder)
