"""The engine of a CUDA device: which form it takes, and whether this model runs in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from consumer.contracts.errors import class_and_line
from consumer.tagging.engine.cuda.capture_policy import CapturePolicy
from consumer.tagging.engine.cuda.device import CudaDevice
from consumer.tagging.engine.cuda.pass_layout import PassLayout
from consumer.tagging.engine.cuda.reduction import reduced_height
from consumer.tagging.engine.cuda.support import choose_attention, read_facts
from consumer.tagging.engine.cuda.varlen_engine import VarlenEngine
from consumer.tagging.engine.cuda.varlen_program import VarlenProgram
from consumer.tagging.engine.encoder_layers import find_layers
from consumer.tagging.engine.engine import is_out_of_memory
from consumer.tagging.engine.probe_windows import probe_windows
from consumer.tagging.model.loaded_model import LoadedModel

#: Tokens of the windows that are tried, at most.
_PROBE_TOKENS = (200, 7, 64)

#: Largest difference of logits that rounding explains, relative to the largest logit. The eight
#: bits of bfloat16 add up over twelve layers; another attention's answers lie further away.
_PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2**-6, torch.bfloat16: 2**-4}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CudaOptions:
    """What a benchmark may leave out.

    Attributes:
        graphs: captured graphs; without them kernels are launched one by one.
        fused: fused layers, see `VarlenLayer`; without them the model's own modules run.
        triton: kernels in Triton; without them torch's own.
    """

    graphs: bool = True
    fused: bool = True
    triton: bool = True


def make_cuda_engine(
    model: LoadedModel, with_probabilities: bool, options: CudaOptions | None = None
) -> VarlenEngine | None:
    """The engine for a model on a CUDA device. Runs it on a few windows to find out; blocks.

    Args:
        model: one whose attention can be packed, see `can_pack`.
        with_probabilities: whether answers hold all probabilities.
        options: None takes the default.

    Returns:
        None where the model does not give its own answers in this form; it is as it was then.

    Raises:
        RuntimeError: the device has no memory for a few windows, see `is_out_of_memory`.
    """
    options = options or CudaOptions()
    name = model.info.name
    choice = choose_attention(read_facts(model), options.triton)
    for attention, fused in _ways(model, choice.names, options.fused):
        way = f"attention {attention}, layers {'fused' if fused else 'as they are'}"
        reason = try_way(model, attention, fused)
        if reason is None:
            break
        _log.warning("model %s: not %s: %s", name, way, reason)
    else:
        return None
    if choice.reason:
        _log.info("model %s: %s", name, choice.reason)
    _log.info("model %s: %s", name, way)
    program = VarlenProgram(model, with_probabilities, attention, fused=fused)
    rows = reduced_height(len(model.labels.type_ids), with_probabilities)
    device = CudaDevice(model.device, program, rows, CapturePolicy() if options.graphs else None)
    return VarlenEngine(PassLayout(model.pad_id, model.first_position), device)


def _ways(model: LoadedModel, attentions: Sequence[str], fused: bool) -> list[tuple[str, bool]]:
    """Attentions, each with fused layers or without, the fastest first."""
    # In float32 fused layers would round otherwise than transformers' own, for little.
    can_fuse = fused and model.network.dtype != torch.float32 and find_layers(model.network)
    return [
        (name, with_fused)
        for name in attentions
        for with_fused in ((True, False) if can_fuse else (False,))
    ]


@torch.inference_mode()
def try_way(model: LoadedModel, attention: str, fused: bool) -> str | None:
    """Why a model cannot run in this form: an error, or other logits than its own; None if it can.

    Leaves the model as it was.
    """
    network = model.network
    layout = PassLayout(model.pad_id, model.first_position)
    windows = probe_windows(model, _PROBE_TOKENS)
    shape = layout.shape(windows)
    inputs = np.empty(shape.inputs, dtype=np.int32)
    layout.write(windows, shape, inputs)
    expected = torch.cat(
        [
            network(input_ids=torch.from_numpy(window).to(model.device)[None].long()).logits[0]
            for window in windows
        ]
    )
    program = VarlenProgram(model, False, attention, fused=fused)
    try:
        logits = program.logits(torch.from_numpy(inputs).to(model.device), shape)[: len(expected)]
        apart = float((logits - expected).abs().max())
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return class_and_line(error)
    finally:
        program.restore()
    allowed = _PROBE_TOLERANCE[network.dtype] * float(expected.abs().max())
    # Written so that what is not a number is not allowed.
    if not apart <= allowed:
        return f"its logits lie {apart:.3g} from the model's own, {allowed:.3g} are allowed"
    return None
