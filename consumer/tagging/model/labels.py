"""The labels of a model: what each output of the classifier means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consumer.contracts.errors import ModelError

#: The label of a token that is in no entity.
OUTSIDE = "O"

_UNNAMED = re.compile(r"LABEL_\d+")
_OTHER_SCHEME = re.compile(r"[A-Z]-")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The classifier's outputs, read as entity types.

    Attributes:
        types: the distinct types, sorted; `O` is not one of them.
        type_ids: for each output the index into `types`, -1 for `O`; shape (outputs,).
        begins: for each output whether it is a B- label; shape (outputs,).
    """

    types: tuple[str, ...]
    type_ids: NDArray[np.int32]
    begins: NDArray[np.bool_]


def read_labels(id2label: Mapping[int, str], model: str) -> Labels:
    """Read a model's `id2label`: `O`, `B-TYPE`, `I-TYPE`, or bare `TYPE`, which is as `I-TYPE`.

    Names such as `LABEL_0` are refused: they are what the library puts where nobody named the
    labels, and without an `O` among them every word would be an entity. So are the prefixes of
    other schemes (`E-`, `S-`, `L-`, `U-`), whose meaning would be lost.

    Raises:
        ModelError: the labels cannot be read so.
    """
    count = len(id2label)
    if sorted(id2label) != list(range(count)):
        raise ModelError(
            f"model {model}: id2label in its config.json must number the labels from 0"
        )
    labels = [id2label[index] for index in range(count)]
    if all(_UNNAMED.fullmatch(label) for label in labels):
        raise ModelError(
            f"model {model}: its labels have no names ({labels[0]}, ...); name them under id2label "
            "in its config.json: O, B-PER, I-PER and so on"
        )
    names: list[str | None] = []
    for label in labels:
        prefix = label[:2] if label[:2] in ("B-", "I-") else ""
        name = label.removeprefix(prefix)
        if not name or (not prefix and _OTHER_SCHEME.match(label)):
            raise ModelError(
                f"model {model}: its label {label!r} is none of O, B-TYPE, I-TYPE or a bare TYPE; "
                "rename the labels under id2label in its config.json"
            )
        names.append(None if label == OUTSIDE else name)
    types = tuple(sorted({name for name in names if name is not None}))
    if not types:
        raise ModelError(f"model {model}: it has no label but O; choose a model that tags entities")
    return Labels(
        types=types,
        type_ids=np.array([-1 if n is None else types.index(n) for n in names], dtype=np.int32),
        begins=np.array([label.startswith("B-") for label in labels]),
    )
