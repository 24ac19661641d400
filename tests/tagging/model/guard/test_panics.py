"""What Rust raises where it has no error for it."""

from __future__ import annotations

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.panics import is_panic, refused_where_it_breaks


class PanicException(BaseException):
    """As Rust's, which cannot be imported."""


@pytest.mark.parametrize("error", [PanicException("bad split\n at lib.rs"), Exception("bad split")])
def test_whatever_a_tokenizer_raises_is_a_refusal(error: BaseException) -> None:
    with pytest.raises(ModelError) as raised, refused_where_it_breaks("M"):
        raise error
    assert str(raised.value) == (
        "model M: its tokenizer cannot read text (bad split); put the tokenizer that belongs to "
        "the model beside it, whole"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), ModelError("said before")])
def test_what_is_no_fault_of_the_tokenizer_is_left_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, refused_where_it_breaks("M"):
        raise error
    assert raised.value is error
    assert not is_panic(error)
