"""Each target on its seeds and on plain mutations of them."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.pieces import Pieces, piece
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

#: Mutations a target; `make fuzz-decoders` has hundreds of thousands.
_MUTATIONS = 150


def mutated(rng: Random, value: bytes) -> bytes:
    """The value with a few bytes changed, left out or put in."""
    made = bytearray(value)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(4):
            case 0:
                made[at : at + 1] = rng.randbytes(1)
            case 1:
                del made[at : at + rng.choice((1, 5, 50))]
            case 2:
                made[at:at] = rng.choice(
                    (b"\x00", b'"', b"\\u", b"<", b"&", b"[", rng.randbytes(3))
                )
            case _:
                made[at:at] = made[at : at + 30] * rng.choice((1, 9))
    return bytes(made)


@pytest.mark.parametrize("name", TARGETS)
def test_the_promises_hold(name: str) -> None:
    seeds, rng = seeds_of(name), Random(f"mutations of {name}")
    assert len(seeds) >= 3
    for value in seeds:
        TARGETS[name](value)
    for _ in range(_MUTATIONS):
        TARGETS[name](mutated(rng, rng.choice(seeds)))
    TARGETS[name](b"")


def test_pieces_come_out_as_they_went_in() -> None:
    pieces = Pieces(piece(b"a") + piece(None) + piece(b"") + b"\x07")
    assert [pieces.bytes_or_none() for _ in range(3)] == [b"a", None, b""]
    assert (pieces.number(), pieces.number(), pieces.bytes_or_none()) == (7, 0, b"")
