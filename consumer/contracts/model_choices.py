"""Choices that a setting offers and that more than one room reads; each is declared here alone."""

from __future__ import annotations

from enum import StrEnum


class Dtype(StrEnum):
    """The precision in which the model computes."""

    AUTO = "auto"  # the fastest on this device that keeps the entities
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT16 = "int16"  # on a CPU alone
    INT8 = "int8"  # on a CPU alone


class Aggregation(StrEnum):
    """How token labels become entities; all but `word` are Hugging Face's, by the same names."""

    WORD = "word"
    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"
