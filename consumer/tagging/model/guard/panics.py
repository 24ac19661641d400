"""What Rust raises where it has no error for it.

Its class is derived from `BaseException` and cannot be imported, so that nobody handles it by
accident. Where a tokenizer is at fault, whoever called it must go on all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from consumer.contracts.errors import ModelError, first_line

_PANIC = "PanicException"


def is_panic(error: BaseException) -> bool:
    """Whether it comes from Rust, and is no end of the process such as Ctrl-C."""
    return type(error).__name__ == _PANIC


def is_failure(error: BaseException) -> bool:
    """Whether a call of the tokenizers' library has failed: it raises Exception itself, and Rust's
    panics. What ends the process is none."""
    return isinstance(error, Exception) or is_panic(error)


@contextmanager
def refused_where_it_breaks(name: str) -> Iterator[None]:
    """Calls of a model's tokenizer, which may raise anything, as a reason to refuse the model.

    Args:
        name: the model, for errors.

    Raises:
        ModelError: a call broke.
    """
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise ModelError(
            f"model {name}: its tokenizer cannot read text ({first_line(error)}); put the "
            "tokenizer that belongs to the model beside it, whole"
        ) from error
