"""Which windows of a model that cannot be packed may run together, found out by trying.

Side by side, the shorter of two windows is filled up, and a mask tells the model so. Not every
model heeds it. Convolutions reach across (ConvBERT, MobileBERT), and tokens are pooled (Funnel) or
mixed without a mask (FNet). Such windows run one length at a time, or alone. What a model computes
otherwise from some length on is known, see `consumer.tagging.engine.length_switch`, and not tried:
it never runs beside shorter windows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.contracts.errors import ModelError, class_and_line, first_line
from consumer.tagging.engine.engine import is_out_of_memory, padded_logits
from consumer.tagging.engine.length_switch import length_switches, sparse_beyond
from consumer.tagging.engine.probe_windows import in_float32, probe_windows
from consumer.tagging.engine.window_company import Company
from consumer.tagging.model.loaded_model import LoadedModel

#: Tokens of the shorter windows that are tried.
_SHORT = 23

#: Tokens of the longer one, for models of 512 tokens and for longer ones, which may look at long
#: text otherwise.
_LONG, _LONGER = 200, 736

#: Largest difference of logits in float32 that rounding explains, relative to the largest logit.
_TOLERANCE = 1e-4


class DoesNotRunInPrecision(ModelError):
    """The model runs, but not in the precision that it was loaded in."""


@torch.inference_mode()
def find_company(model: LoadedModel) -> Company:
    """In which company a window of a model keeps its answer. Runs it on a few short windows, in
    float32 and in its own precision; blocks.

    Raises:
        ModelError: it does not run on text alone, or not always in the same way.
        DoesNotRunInPrecision: it runs in float32 only.
        RuntimeError: the device has no memory for it, see `is_out_of_memory`.
    """
    name, dtype = model.info.name, model.info.dtype
    exact = replace(model, network=in_float32(model.network))
    longest = _LONGER if model.max_tokens >= _LONGER else min(_LONG, model.max_tokens)
    switches, sparse = length_switches(model), sparse_beyond(model.network.config)
    longest = min((longest, *switches[:1]))
    # What is computed by other code is run too.
    others = probe_windows(model, (sparse + 1,)) if switches and sparse else []
    short, other, long = probe_windows(model, (min(_SHORT, max(1, longest // 2)),) * 2 + (longest,))
    tried = short
    try:
        expected = padded_logits(exact, [short])
        again = padded_logits(exact, [short])
        for tried in others:
            padded_logits(exact, [tried])
    except Exception as error:  # whatever a model does that wants other inputs
        _let_through(error)
        raise ModelError(
            f"model {name}: it does not run on a text of {len(tried)} tokens alone "
            f"({class_and_line(error)}); choose a model that takes text of any "
            "length, and nothing beside it"
        ) from error
    tolerance = _TOLERANCE * float(expected.abs().max())

    def keeps(*windows: NDArray[np.int32]) -> bool:
        """Whether the last window has the same answer."""
        try:
            found = padded_logits(exact, windows)[-len(expected) :]
        except Exception as error:  # whatever a model does with more than one
            _let_through(error)
            return False
        return bool(((found - expected).abs() <= tolerance).all())

    # Written so that answers that are not numbers do not count as different.
    if bool(((again - expected).abs() > tolerance).any()):
        raise ModelError(
            f"model {name}: it gives the same text another answer each time, which no message can "
            "rest on; choose another model"
        )
    if dtype != "float32":
        try:
            for one in (short, *others):
                padded_logits(model, [one])
        except Exception as error:  # what no kernel has in that precision
            _let_through(error)
            raise DoesNotRunInPrecision(
                f"model {name}: it does not run in {dtype} ({first_line(error)}); "
                "use --dtype float32"
            ) from error
    if not expected.isfinite().all():
        return Company.ANY
    if not keeps(other, short):
        return Company.NONE
    return Company.ANY if keeps(long, short) else Company.EQUAL


def _let_through(error: Exception) -> None:
    """Memory that ran out says nothing about the model."""
    if is_out_of_memory(error):
        raise error
