"""Running the model on a handful of windows that fit together; no policy, no memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.engine.length_switch import use_attention_of
from consumer.tagging.engine.packed_attention import PACKED, packed_logits
from consumer.tagging.engine.window_company import Company, group
from consumer.tagging.model.attention_functions import use_attention
from consumer.tagging.model.loaded_model import LoadedModel

#: Fragments of the messages that torch gives when memory is out other than by
#: `torch.OutOfMemoryError`: its CPU allocator, the CUDA driver, cuBLAS and cuDNN.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the model says of the tokens of some windows, laid end to end; on the CPU.

    Attributes:
        label_ids: the most probable output, shape (tokens,).
        scores: its probability; not a number where a logit was not finite. Shape (tokens,).
        probabilities: all probabilities, shape (tokens, outputs), where they were asked for.
    """

    label_ids: NDArray[np.int16]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None


class Engine(Protocol):
    """One way of running windows together."""

    #: Whether shorter windows are filled up to the longest. Then windows of like length should run
    #: together, and each counts as the longest.
    pads: bool

    #: Whether it leaves out work for tokens whose answer nobody reads. If so, it is worth telling
    #: it which tokens those are.
    skips_unread: bool

    #: Whether a window has the same answer to the last bit whatever else is in its pass.
    is_exact: bool

    def run(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None, /
    ) -> Answer:
        """Run the model on windows, special tokens included. Blocks until the answer is here.

        Args:
            is_read: of which tokens the answer will be read, the windows end to end, shape
                (tokens,); for the others it may hold anything. None for all of them.

        Raises:
            torch.OutOfMemoryError, RuntimeError: see `is_out_of_memory`.
        """
        ...


class PackedEngine:
    """Windows laid end to end, without padding."""

    pads = False
    skips_unread = False
    is_exact = False

    def __init__(self, model: LoadedModel, with_probabilities: bool) -> None:
        self._model = model
        self._with_probabilities = with_probabilities
        use_attention(model.network, PACKED)

    @torch.inference_mode()
    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        return answer_of(self._logits(windows), self._with_probabilities)

    def _logits(self, windows: Sequence[NDArray[np.int32]], **for_layers: Any) -> torch.Tensor:
        """See `packed_logits`."""
        ids = torch.from_numpy(np.concatenate(windows)).to(self._model.device, torch.long)
        lengths = [len(window) for window in windows]
        return packed_logits(
            self._model.network, ids, lengths, self._model.first_position, **for_layers
        )


class PaddedEngine:
    """Windows side by side, the shorter ones filled up.

    Args:
        with_probabilities: whether answers hold all probabilities.
        company: which windows run together.
        switches: lengths on either side of which windows run apart, see `group`.
    """

    skips_unread = False
    is_exact = False

    def __init__(
        self,
        model: LoadedModel,
        with_probabilities: bool,
        company: Company = Company.ANY,
        switches: Sequence[int] = (),
    ) -> None:
        self._model = model
        self._with_probabilities = with_probabilities
        self._company = company
        self._switches = switches
        self.pads = company is Company.ANY

    @torch.inference_mode()
    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        groups = group(windows, self._company, self._switches)
        found: list[torch.Tensor] = [torch.empty(0)] * len(windows)
        for indices in groups:
            own = [windows[index] for index in indices]
            logits = padded_logits(self._model, own).split([len(window) for window in own])
            for index, part in zip(indices, logits, strict=True):
                found[index] = part
        return answer_of(torch.cat(found), self._with_probabilities)


def padded_logits(model: LoadedModel, windows: Sequence[NDArray[np.int32]]) -> torch.Tensor:
    """Logits of windows side by side, shape (tokens, outputs), those that fill up left out."""
    lengths = np.array([len(window) for window in windows])
    is_text = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(is_text.shape, model.pad_id, dtype=np.int64)
    ids[is_text] = np.concatenate(windows)
    mask = torch.from_numpy(is_text).to(model.device)
    use_attention_of(model.network, is_text.shape[1])
    logits: torch.Tensor = model.network(
        input_ids=torch.from_numpy(ids).to(model.device), attention_mask=mask.long()
    ).logits
    return logits[mask]


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch says that the device has no memory left, by whatever RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(fragment in str(error) for fragment in _OUT_OF_MEMORY)
    )


def release_memory(model: LoadedModel) -> None:
    """Give back what the allocator keeps, so that a smaller attempt finds it in one piece."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def answer_of(logits: torch.Tensor, with_probabilities: bool) -> Answer:
    """The answer, reduced on the device: two values a token come back, not all probabilities."""
    probabilities = logits.float().softmax(dim=-1)
    probabilities = probabilities.masked_fill(
        ~logits.isfinite().all(dim=-1, keepdim=True), torch.nan
    )
    scores, label_ids = probabilities.max(dim=-1)
    return Answer(
        label_ids=label_ids.to(torch.int16).cpu().numpy(),
        scores=scores.cpu().numpy(),
        probabilities=probabilities.cpu().numpy() if with_probabilities else None,
    )
