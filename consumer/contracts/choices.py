"""Why a message is rejected, and where: what `__nerstream.errors.code` and `.stage` may say."""

from __future__ import annotations

from enum import StrEnum


class RejectCode(StrEnum):
    """Why a message became a dead letter; the value of `__nerstream.errors.code`."""

    INVALID_UTF8 = "invalid_utf8"  # the value's bytes are not UTF-8
    INVALID_JSON = "invalid_json"  # UTF-8, but not one JSON value
    NESTED_TOO_DEEP = "nested_too_deep"  # arrays or objects nested past the limit
    NOT_AN_OBJECT = "not_an_object"  # JSON, but a list, string, number, true, false or null
    MISSING_ID = "missing_id"  # no field `id`
    EMPTY_ID = "empty_id"  # `id` is the empty string
    WRONG_TYPE = "wrong_type"  # `id` or a text field is not a string
    NO_TEXT = "no_text"  # no text field, or only empty ones
    INVALID_HEADER = "invalid_header"  # a header's name is not UTF-8 or has a NUL
    TOKENIZATION_FAILED = "tokenization_failed"  # the tokenizer raised on this text alone
    OUT_OF_MEMORY = "out_of_memory"  # a single article that the device cannot hold
    NOT_A_NUMBER = "not_a_number"  # the model answered with NaN or infinite logits
    TOO_LARGE = "too_large"  # the enriched message exceeds what the output topic takes
    TIMESTAMP_REFUSED = "timestamp_refused"  # it is 0, or the output topic does not take it
    RECORD_REFUSED = "record_refused"  # the output topic does not take it, without a key perhaps


class RejectStage(StrEnum):
    """The step in which a message was rejected; the value of `__nerstream.errors.stage`."""

    PREPARE = "prepare"
    TAG = "tag"
    PUBLISH = "publish"
