"""The files of a model's folder, read before the library reads them.

For a file that is cut off, or is not what its name says, the library has a traceback or a guess.
Here each finding is one sentence that names the file and what would be right.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import orjson

from consumer.contracts.errors import ModelError, first_line

#: Beginning of the file that git has in place of a large one; https://git-lfs.com has the form.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Characters before the end at which a JSON text that breaks off may be found wrong: `tru`.
_CUT_OFF_CHARACTERS = 5


def read_json(name: str, path: Path) -> dict[str, Any]:
    """The object that a JSON file of a model holds.

    Args:
        name: the model, for errors.

    Raises:
        ModelError: it cannot be read, or holds something else.
    """
    data = read_bytes(name, path)
    with contextlib.suppress(orjson.JSONDecodeError):
        # Ten times as fast, which a vocabulary is worth, and stricter: it knows no NaN.
        found = orjson.loads(data)
        if isinstance(found, dict):
            return found
    if data.startswith(_BYTE_ORDER_MARK):
        raise ModelError(
            f"model {name}: its {path.name} begins with a byte order mark; save it as UTF-8 "
            "without one"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"model {name}: its {path.name} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if _is_cut_off(text, error):
            problem = f"is cut off in line {error.doc.count(chr(10)) + 1}"
        else:
            problem = f"is not JSON ({error.msg}, line {error.lineno}, column {error.colno})"
        raise ModelError(
            f"model {name}: its {path.name} {problem}; copy or download it again"
        ) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise ModelError(
            f"model {name}: its {path.name} is not JSON as anyone writes it ({first_line(error)}); "
            "copy or download it again"
        ) from error
    except RecursionError as error:
        raise ModelError(
            f"model {name}: its {path.name} is nested too deep; copy or download it again"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(
            f"model {name}: its {path.name} holds {json_kind(found)} where an object is due; copy "
            "or download it again"
        )
    return found


def read_bytes(name: str, path: Path) -> bytes:
    """The bytes of a file that is not empty and holds what its name says, as far as its beginning
    tells.

    Raises:
        ModelError: it is not so, or it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {name}: its {path.name} cannot be read ({error.strerror or first_line(error)})"
            "; make it a file that the worker's user may read"
        ) from error
    check_beginning(name, path.name, data)
    return data


def check_beginning(name: str, file: str, data: bytes) -> None:
    """Refuse what is in the place of a file that was not copied.

    Args:
        name: the model.
        file: its file.
        data: at least its first 200 bytes, or all of it.

    Raises:
        ModelError: the file is empty, a Git LFS pointer or a web page.
    """
    if data.startswith(_LFS_POINTER):
        raise ModelError(
            f"model {name}: its {file} is a Git LFS pointer, not the file itself; run git lfs pull "
            "where the model was cloned, or download the file"
        )
    if not data.strip():
        raise ModelError(f"model {name}: its {file} is empty; copy or download it again")
    if data.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise ModelError(
            f"model {name}: its {file} is a web page, as a download that was refused leaves it; "
            "download the file itself"
        )


def json_kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return kinds[type(value)]


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether nothing is wrong with a text but that it ends too early."""
    rest = text[error.pos :].strip()
    return error.msg.startswith("Unterminated string") or (
        len(rest) < _CUT_OFF_CHARACTERS and (not rest or rest.isalpha())
    )
