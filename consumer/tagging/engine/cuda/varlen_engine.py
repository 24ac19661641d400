"""VarlenEngine: passes in two slots, so that one travels while the other is computed.

This decides the order of events; a `PassDevice` carries them out. In each slot the host writes the
inputs, which are uploaded and computed. Then the answer is downloaded, and the host waits for it
and reads it. Pass k+1 is written and uploaded while pass k is computed, in the other slot. A slot
is written again only after the host has waited for its answer, which is behind everything else in
the slot. So the host waits for nothing else: one synchronisation a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consumer.tagging.engine.cuda.pass_layout import PassLayout, PassShape
from consumer.tagging.engine.cuda.reduction import read_answer
from consumer.tagging.engine.engine import Answer

#: One that computes and one that travels; the device computes one pass at a time, so that a third
#: would only wait.
SLOTS = 2


class PassDevice(Protocol):
    """What carries passes out. Only `wait` and `settle` block. What the others begin on a slot is
    done in the order of the calls. It does not wait for the other slot's transfers."""

    def host_inputs(self, slot: int, shape: PassShape) -> NDArray[np.int32]:
        """Memory of `shape.inputs` integers, from which `upload` reads; the slot must be free."""
        ...

    def upload(self, slot: int, shape: PassShape) -> None:
        """Begin to bring the inputs to the device."""
        ...

    def compute(self, slot: int, shape: PassShape) -> None:
        """Begin to run the model on them; raises where the device has no memory for it."""
        ...

    def download(self, slot: int, shape: PassShape) -> None:
        """Begin to bring the reduced answer back."""
        ...

    def wait(self, slot: int) -> NDArray[np.int32]:
        """Block until the reduced answer is here; valid until the slot is written again."""
        ...

    def settle(self) -> None:
        """Block until all that was begun is done, whatever came of it."""
        ...

    def give_back(self) -> bool:
        """See `consumer.tagging.engine.sharing.HoldsSpareMemory`."""
        ...


class VarlenEngine:
    """Fulfils `consumer.tagging.engine.engine.Engine` and `OverlappingEngine`. One thread uses it.

    Args:
        layout: how windows are laid out for the model.
        device: where passes run; it belongs to this engine.
    """

    pads = False
    skips_unread = False
    is_exact = False

    def __init__(self, layout: PassLayout, device: PassDevice) -> None:
        self.device = device
        self._layout = layout
        self._slots: list[VarlenPass | None] = [None] * SLOTS
        self._next_slot = 0

    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        """See `Engine.run`."""
        return self.start(windows).answer()

    def await_room(self) -> None:
        """Nothing: `start` waits for its slot, and what has two passes has work for a while."""

    def give_back(self) -> bool:
        """See `consumer.tagging.engine.sharing.HoldsSpareMemory`."""
        return self.device.give_back()

    def start(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> VarlenPass:
        """Begin a pass. Blocks only where two are under way already, for the older one.

        Raises:
            torch.OutOfMemoryError, RuntimeError: see `is_out_of_memory`; the pass has not begun.
        """
        slot = self._next_slot
        older = self._slots[slot]
        if older is not None:
            older.answer()
        shape = self._layout.shape(windows)
        try:
            self._layout.write(windows, shape, self.device.host_inputs(slot, shape))
            self.device.upload(slot, shape)
            self.device.compute(slot, shape)
            self.device.download(slot, shape)
        except BaseException:
            # The upload may still read the memory that the next pass of this slot is written to.
            self.device.settle()
            raise
        started = VarlenPass(self, slot, sum(len(window) for window in windows))
        self._slots[slot] = started
        self._next_slot = (slot + 1) % SLOTS
        return started

    def _finish(self, slot: int, tokens: int) -> Answer:
        self._slots[slot] = None
        return read_answer(self.device.wait(slot), tokens)


class VarlenPass:
    """A pass under way. Made by `VarlenEngine.start`."""

    def __init__(self, engine: VarlenEngine, slot: int, tokens: int) -> None:
        self._engine = engine
        self._slot = slot
        self._tokens = tokens
        self._answer: Answer | None = None

    def answer(self) -> Answer:
        """What the model says. Blocks until it is here; a second call gives the same.

        Raises:
            RuntimeError: the device failed.
        """
        if self._answer is None:
            self._answer = self._engine._finish(self._slot, self._tokens)
        return self._answer
