"""The engine of a CUDA device: which form it takes, and whether this model runs in it."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.errors import first_line
from consumer.tagging.capture_policy import CapturePolicy
from consumer.tagging.cuda_device import CudaDevice
from consumer.tagging.cuda_support import choose_attention, read_facts
from consumer.tagging.engine import is_out_of_memory
from consumer.tagging.model import LoadedModel
from consumer.tagging.pass_layout import PassLayout
from consumer.tagging.reduction import reduced_rows
from consumer.tagging.varlen_attention import PADDED
from consumer.tagging.varlen_engine import VarlenEngine
from consumer.tagging.varlen_program import VarlenProgram

#: Tokens of the windows that are tried, at most.
_PROBE_TOKENS = (200, 7, 64)

#: Largest difference of logits that rounding explains, relative to the largest logit. bfloat16
#: keeps eight bits, and twelve layers add up; another attention's answers lie further away.
_PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2**-6, torch.bfloat16: 2**-4}

_log = logging.getLogger(__name__)


class Form(enum.Enum):
    """How a pass's kernels reach the device."""

    #: One by one.
    EAGER = "eager"
    #: As captured graphs, one for each shape that comes back.
    GRAPHS = "graphs"
    #: Fused by torch.compile, one by one. Needs Triton and a C compiler at run time.
    COMPILED = "compiled"
    #: Fused by torch.compile, as captured graphs.
    COMPILED_GRAPHS = "compiled-graphs"


@dataclass(frozen=True, slots=True)
class CudaOptions:
    """What a benchmark may change.

    Attributes:
        form: how kernels reach the device.
        any_kernel: see `VarlenProgram`.
    """

    form: Form = Form.GRAPHS
    any_kernel: bool = False


def make_cuda_engine(
    model: LoadedModel, with_rows: bool, options: CudaOptions | None = None
) -> VarlenEngine | None:
    """The engine for a model on a CUDA device. Runs it on a few windows to find out; blocks.

    Args:
        model: one whose attention can be packed, see `can_pack`.
        with_rows: whether answers hold all probabilities.
        options: None takes the default.

    Returns:
        None where the model does not give its own answers in this form; it is as it was then.

    Raises:
        RuntimeError: the device has no memory for a few windows, see `is_out_of_memory`.
    """
    options = options or CudaOptions()
    choice = choose_attention(read_facts(model))
    for attention in dict.fromkeys((choice.name, PADDED)):
        reason = try_attention(model, attention)
        if reason is None:
            break
        _log.warning("model %s: attention %s is not used: %s", model.info.name, attention, reason)
    else:
        return None
    if choice.reason:
        _log.info("model %s: %s", model.info.name, choice.reason)
    _log.info("model %s: attention %s, %s", model.info.name, attention, options.form.value)
    program = VarlenProgram(
        model,
        with_rows,
        attention,
        compiled=options.form in (Form.COMPILED, Form.COMPILED_GRAPHS),
        any_kernel=options.any_kernel,
    )
    graphs = options.form in (Form.GRAPHS, Form.COMPILED_GRAPHS)
    rows = reduced_rows(len(model.labels.type_ids), with_rows)
    device = CudaDevice(model.device, program, rows, CapturePolicy() if graphs else None)
    return VarlenEngine(PassLayout(model.pad_id, model.first_position), device)


@torch.inference_mode()
def try_attention(model: LoadedModel, attention: str) -> str | None:
    """Why a model cannot run in this form: an error, or other logits than its own; None if it can.

    Leaves the model as it was.
    """
    network = model.network
    plain_attention = network.config._attn_implementation
    layout = PassLayout(model.pad_id, model.first_position)
    windows = _probe_windows(model)
    shape = layout.shape(windows)
    inputs = np.empty(shape.inputs, dtype=np.int32)
    layout.write(windows, shape, inputs)
    expected = torch.cat(
        [
            network(input_ids=torch.from_numpy(window).to(model.device)[None].long()).logits[0]
            for window in windows
        ]
    )
    try:
        program = VarlenProgram(model, False, attention)
        logits = program.logits(torch.from_numpy(inputs).to(model.device), shape)[: len(expected)]
        apart = float((logits - expected).abs().max())
    except Exception as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        return f"{type(error).__name__}: {first_line(error)}"
    finally:
        network.config._attn_implementation = plain_attention
    allowed = _PROBE_TOLERANCE[network.dtype] * float(expected.abs().max())
    # Written so that what is not a number is not allowed.
    if not apart <= allowed:
        return f"its logits lie {apart:.3g} from the model's own, {allowed:.3g} are allowed"
    return None


def _probe_windows(model: LoadedModel) -> list[NDArray[np.int32]]:
    vocabulary = model.network.get_input_embeddings().num_embeddings
    lengths = [min(tokens, model.max_tokens) for tokens in _PROBE_TOKENS]
    ids = np.arange(sum(lengths), dtype=np.int64) * 7919 % vocabulary
    ids[ids == model.pad_id] = (model.pad_id + 1) % vocabulary
    return np.split(ids.astype(np.int32), np.cumsum(lengths)[:-1])
