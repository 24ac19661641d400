"""This machine's processor, with what our own kernels say of it."""

from __future__ import annotations

from functools import cache

from consumer.tagging.engine.cpu.layers.native_layer import load_layer_kernel
from consumer.tagging.model.processor import Processor, read_processor


@cache
def this_processor() -> Processor:
    """This machine's processor, read once."""
    return read_processor(load_layer_kernel())
