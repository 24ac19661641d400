"""Headers of safetensors that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.header import MOST_HEADER_BYTES, read_header


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write(folder: Path, header: object, data: int = 0, length: int | None = None) -> Path:
    """A file with this header and so many bytes after it."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    said = len(raw) if length is None else length
    path = folder / "model.safetensors"
    path.write_bytes(said.to_bytes(8, "little") + raw + bytes(data))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as raised:
        read_header("M", path)
    return str(raised.value)


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {
        "a.weight": torch.zeros(3, 4),
        "b": torch.zeros(5, dtype=torch.bfloat16),
        "none": torch.zeros(0, 7),
        "one": torch.tensor(1.0, dtype=torch.float16),
        "ids": torch.arange(9),
        "mask": torch.ones(3, dtype=torch.bool),
    }
    save_file(tensors, path, {"format": "pt"})
    found = read_header("M", path)
    assert found == {key: tuple(tensor.shape) for key, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("header", "data", "says"),
    [
        ({"a": entry(0, 16, [4]), "b": entry(8, 24, [4])}, 24, "b overlaps a"),
        ({"a": entry(0, 16, [4]), "b": entry(0, 16, [4])}, 16, "b overlaps a"),
        ({"a": entry(0, 16, [4]), "b": entry(20, 36, [4])}, 36, "b leaves a gap after a"),
        ({"a": entry(4, 20, [4])}, 20, "a leaves a gap after the header"),
        ({"a": entry(16, 0, [4]), "b": entry(0, 16, [4])}, 16, "which"),
        ({"a": entry(0, 16, [1_000_000_000, 4])}, 16, "is not the size of such"),
        ({"a": entry(0, 16, [2**40, 2**40, 2**40])}, 16, "is not the size of such"),
        ({"a": entry(0, 16, [])}, 16, "is not the size of such"),
        ({"a": entry(0, 16, [4], "F64")}, 16, "is not the size of such"),
        ({"a": entry(0, 10**15, [10**15 // 4])}, 16, "is cut off: it has"),
        ({"a": entry(0, 16, [-4])}, 16, "is not in the form of safetensors"),
        ({"a": entry(0, 16, [4.0])}, 16, "is not in the form of safetensors"),  # type: ignore[list-item]
        ({"a": {"dtype": "F32"}}, 16, "is not in the form of safetensors"),
        ({"a": [1]}, 16, "is not in the form of safetensors"),
        ({"a": entry(0, 16, [4]) | {"data_offsets": [0, 8, 16]}}, 16, "is not in the form"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 16, "is not in the form of safetensors"),
        ({}, 0, "holds no weights"),
    ],
)
def test_a_header_that_lies_is_refused(
    header: object, data: int, says: str, tmp_path: Path
) -> None:
    assert says in refusal(write(tmp_path, header, data))


def test_a_header_of_gigabytes_is_never_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"{", length=3 * 2**30)
    assert "is cut off" in refusal(path)
    with path.open("r+b") as file:
        file.truncate(4 * 2**30)
    told = refusal(path)
    assert f"has {3 * 2**30:,} bytes, and at most {MOST_HEADER_BYTES:,} are read" in told
    path.write_bytes(b"\xff" * 8 + b"{" + bytes(100))
    assert "is cut off" in refusal(path)


def test_a_pickle_by_another_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.zeros(2)}, path)
    assert "its model.safetensors is a pickle by another name" in refusal(path)
