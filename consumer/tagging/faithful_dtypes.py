"""In which precisions a model is known to keep its entities, as a file beside its weights says.

Whether eight bits keep them depends on the model, and cannot be known without text that looks like
what it will read. So whoever has measured it says so in `nerstream.json` in the model's folder:
`{"faithful_dtypes": ["bfloat16", "int8"]}`. A model that is trained on from it has no such file.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from consumer.errors import ModelError
from consumer.tagging.device import LOW_PRECISIONS

FILE_NAME = "nerstream.json"


def read_faithful_dtypes(name: str, folder: Path) -> frozenset[str]:
    """The precisions in which a model finds at least 99.5 % of float32's entities and no more than
    half a percent of others; empty where nobody has said.

    Args:
        name: the model, for an error's text.

    Raises:
        ModelError: the file says something else.
    """
    path = folder / FILE_NAME
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return frozenset()
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelError(f"model {name}: its {FILE_NAME} cannot be read: {error}") from error
    dtypes = found.get("faithful_dtypes", []) if isinstance(found, dict) else None
    if not isinstance(dtypes, list) or not all(one in LOW_PRECISIONS for one in dtypes):
        raise ModelError(
            f'model {name}: its {FILE_NAME} must hold an object whose "faithful_dtypes" is a list '
            f"of some of {', '.join(LOW_PRECISIONS)}"
        )
    return frozenset(dtypes)
