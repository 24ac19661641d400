"""In which precisions a model is known to keep its entities, as a file beside its weights says.

Whether eight bits keep them depends on the model, and only text like what it will read can tell.
Whoever has measured it with `nerstream compare` says so in `nerstream.json` in the model's folder:
`{"faithful_dtypes": ["bfloat16", "int8"]}`. Training on from a model does not copy that file.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from consumer.contracts.errors import ModelError
from consumer.tagging.model.device import LOW_PRECISIONS

FILE_NAME = "nerstream.json"

_KEY = "faithful_dtypes"


def read_faithful_dtypes(name: str, folder: Path) -> frozenset[str]:
    """The precisions in which a model finds at least 99.5 % of float32's entities and no more than
    half a percent of others; empty where nobody has said.

    Args:
        name: the model, for an error's text.

    Raises:
        ModelError: the file says something else.
    """
    return frozenset(_read(name, folder).get(_KEY, ()))


def write_faithful_dtypes(name: str, folder: Path, measured: Mapping[str, bool]) -> Path:
    """Write down whether the model keeps its entities in these precisions. What the file says of
    others stays, and so does whatever else it holds.

    Args:
        name: the model, for an error's text.
        measured: by precision.

    Returns:
        The file.

    Raises:
        ModelError: the file that is there says something else, or cannot be written.
    """
    found = _read(name, folder)
    faithful = {dtype for dtype in found.get(_KEY, ()) if dtype not in measured}
    faithful |= {dtype for dtype, is_faithful in measured.items() if is_faithful}
    found[_KEY] = sorted(faithful)
    path, new = folder / FILE_NAME, folder / f".{FILE_NAME}.new"
    try:
        new.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        # A worker that starts meanwhile reads the old file or the new one.
        new.replace(path)
    except OSError as error:
        raise ModelError(f"model {name}: its {FILE_NAME} cannot be written: {error}") from error
    return path


def _read(name: str, folder: Path) -> dict[str, Any]:
    """What the file holds, empty where there is none; its precisions are known ones."""
    try:
        found = orjson.loads((folder / FILE_NAME).read_bytes().removeprefix(codecs.BOM_UTF8))
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelError(f"model {name}: its {FILE_NAME} cannot be read: {error}") from error
    dtypes = found.get(_KEY, []) if isinstance(found, dict) else None
    if not isinstance(dtypes, list) or not all(one in LOW_PRECISIONS for one in dtypes):
        raise ModelError(
            f'model {name}: its {FILE_NAME} must hold an object whose "{_KEY}" is a list '
            f"of some of {', '.join(LOW_PRECISIONS)}"
        )
    return dict(found)
