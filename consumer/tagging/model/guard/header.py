"""The header of a safetensors file: what it says of each tensor, checked against the file.

A header that lies would have tensors share bytes, lie outside the file, or be of another size than
their shapes: the numbers of a model would then be others than it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import orjson

from consumer.contracts.errors import ModelError
from consumer.tagging.model.files import check_beginning

#: Bytes of the length that comes before the header.
_LENGTH_BYTES = 8

#: Bytes of the longest header that is read. One of a thousand tensors has a hundred thousand.
MOST_HEADER_BYTES = 16 * 2**20

#: Bits of a number of each type.
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}

#: How a zip file begins, as PyTorch writes pickles today, and a bare pickle of protocol 2 to 5.
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, slots=True)
class _Tensor:
    key: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(name: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name.

    Args:
        name: the model, for errors.
        path: a file of its weights.

    Raises:
        ModelError: the file is cut off, no safetensors, or its header contradicts it or itself.
    """
    size, header = _bytes_of_header(name, path)
    tensors = _tensors(name, path, header)
    needed = _LENGTH_BYTES + len(header) + max(tensor.end for tensor in tensors)
    if size < needed:
        raise ModelError(_cut_off(name, path, size, needed))
    if size > needed:
        raise ModelError(
            f"model {name}: its {path.name} has {size - needed:,} bytes more than its header tells "
            "of; copy or download it again"
        )
    _check_places(name, path, tensors)
    for tensor in tensors:
        is_weight = tensor.key.endswith((".weight", ".bias"))
        if is_weight and not tensor.dtype.startswith(("F", "BF")):
            raise ModelError(
                f"model {name}: its weights are not floating-point numbers ({tensor.key} is of "
                f"type {tensor.dtype}), as a quantised model has them; save it in float32, float16 "
                "or bfloat16"
            )
    return {tensor.key: tensor.shape for tensor in tensors}


def _bytes_of_header(name: str, path: Path) -> tuple[int, bytes]:
    """Bytes of the file, and its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            beginning = file.read(1024)
            check_beginning(name, path.name, beginning)
            if beginning.startswith(_PICKLES):
                raise ModelError(
                    f"model {name}: its {path.name} is a pickle by another name, and unpickling "
                    "can run code; save the model with save_pretrained, which writes safetensors"
                )
            length = int.from_bytes(beginning[:_LENGTH_BYTES], "little")
            if len(beginning) <= _LENGTH_BYTES or beginning[_LENGTH_BYTES:][:1] != b"{":
                raise ModelError(_no_weights(name, path))
            if _LENGTH_BYTES + length > size:
                raise ModelError(_cut_off(name, path, size, _LENGTH_BYTES + length))
            if length > MOST_HEADER_BYTES:
                raise ModelError(
                    f"model {name}: the header of its {path.name} has {length:,} bytes, and at "
                    f"most {MOST_HEADER_BYTES:,} are read; save the model again with "
                    "save_pretrained"
                )
            file.seek(_LENGTH_BYTES)
            return size, file.read(length)
    except OSError as error:
        raise ModelError(
            f"model {name}: its {path.name} cannot be read ({error.strerror}); make it a file that "
            "the worker's user may read"
        ) from error


def _tensors(name: str, path: Path, header: bytes) -> list[_Tensor]:
    """What the header says, in the order of the file."""
    try:
        document: dict[str, Any] = orjson.loads(header)
        document.pop("__metadata__", None)
        found = [_tensor(key, said) for key, said in document.items()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(_no_weights(name, path)) from error
    if not found:
        raise ModelError(f"model {name}: its {path.name} holds no weights; save the model again")
    return sorted(found, key=lambda tensor: (tensor.begin, tensor.end))


def _tensor(key: str, said: dict[str, Any]) -> _Tensor:
    begin, end = _whole_numbers(said["data_offsets"])
    return _Tensor(key, str(said["dtype"]), _whole_numbers(said["shape"]), begin, end)


def _check_places(name: str, path: Path, tensors: list[_Tensor]) -> None:
    """Each tensor has the bytes that its shape needs, and they lie end to end."""
    at, before = 0, "the header"
    for tensor in tensors:
        if tensor.begin != at:
            between = "overlaps" if tensor.begin < at else "leaves a gap after"
            raise ModelError(
                f"model {name}: by the header of its {path.name} {tensor.key} {between} {before} "
                f"(bytes {tensor.begin:,} to {tensor.end:,}, after {at:,}), which no library "
                "writes; save the model again with save_pretrained"
            )
        bits = prod(tensor.shape) * _BITS.get(tensor.dtype, 0)
        if tensor.dtype in _BITS and bits != 8 * (tensor.end - tensor.begin):
            raise ModelError(
                f"model {name}: by the header of its {path.name} {tensor.key} is of shape "
                f"{list(tensor.shape)} in {tensor.dtype} and has {tensor.end - tensor.begin:,} "
                "bytes, which is not the size of such; save the model again with save_pretrained"
            )
        at, before = tensor.end, tensor.key


def _whole_numbers(value: object) -> tuple[int, ...]:
    """A list of integers from 0 on."""
    if isinstance(value, list) and all(type(one) is int and one >= 0 for one in value):
        return tuple(value)
    raise ValueError(value)


def _no_weights(name: str, path: Path) -> str:
    return (
        f"model {name}: its {path.name} is not in the form of safetensors; save the model again "
        "with save_pretrained"
    )


def _cut_off(name: str, path: Path, size: int, needed: int) -> str:
    return (
        f"model {name}: its {path.name} is cut off: it has {size:,} bytes and should have at least "
        f"{needed:,}; copy or download it again"
    )
