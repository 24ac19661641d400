"""Models beside each other on one device: they make room for each other's passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.contracts.errors import DeviceFailed, RejectedMessage
from consumer.contracts.messages import PreparedArticle
from consumer.tagging.engine.cpu.engine import CpuEngine
from consumer.tagging.engine.engine import Answer
from consumer.tagging.engine.sharing import HoldsSpareMemory, SharesThreads
from consumer.tagging.tagger import Tagger, run_beside
from tests.support.engines.host_device import load_tiny, tagger_on, varlen_engine
from tests.support.models.tiny_models import SENTENCES, article, tag, tiny_tagger


class Memory:
    """So many tokens of passes, of all engines together."""

    def __init__(self, tokens: int) -> None:
        self.free = tokens

    def take(self, tokens: int) -> None:
        if tokens > self.free:
            raise torch.OutOfMemoryError("out of memory, as asked for")
        self.free -= tokens


class Sharing:
    """Labels nothing. Its passes hold memory until they are asked for.

    Args:
        spare: what it holds of it only to be faster.
    """

    pads = skips_unread = is_exact = False

    def __init__(self, memory: Memory, spare: int = 0) -> None:
        self._memory = memory
        self.spare = spare
        memory.take(spare)

    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        return self.start(windows).answer()

    def start(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Begun:
        tokens = sum(map(len, windows))
        self._memory.take(tokens)
        return Begun(self._memory, tokens)

    def await_room(self) -> None:
        """There is."""

    def give_back(self) -> bool:
        had, self.spare = self.spare, 0
        self._memory.free += had
        return had > 0


class Begun:
    def __init__(self, memory: Memory, tokens: int) -> None:
        self._memory, self._tokens = memory, tokens

    def answer(self) -> Answer:
        self._memory.free += self._tokens
        return Answer(np.zeros(self._tokens, np.int16), np.ones(self._tokens, np.float32), None)


def nothing() -> None:
    """Progress is of no interest."""


def batch(tagger: Tagger, *texts: str) -> list[PreparedArticle]:
    articles = [article(number, text) for number, text in enumerate(texts)]
    return [PreparedArticle(*pair) for pair in zip(articles, tagger.encode(articles), strict=True)]


def beside(memory: Memory, *spare: int) -> list[Tagger]:
    taggers = [tagger_on(Sharing(memory, one), load_tiny(), batch_tokens=4_096) for one in spare]
    run_beside(taggers)
    return taggers


@pytest.mark.parametrize("late", [False, True])
def test_a_window_that_another_models_pass_leaves_no_room_for_waits_for_it(late: bool) -> None:
    """It is not rejected: alone it fits."""
    memory = Memory(80)
    english, german = beside(memory, 0, 0)
    first = english.begin(batch(english, " ".join(SENTENCES[:1])), nothing)
    if late:
        # Its second pass is under way too.
        first_too = english.begin(batch(english, SENTENCES[3]), nothing)
    assert memory.free < 64
    second = german.begin(batch(german, " ".join(SENTENCES)), nothing)
    result = second()
    assert result.answers == ((),)
    assert result.out_of_memory_splits > 0  # its windows did not fit together
    assert first().answers == ((),)
    if late:
        assert first_too().answers == ((),)
    assert memory.free == 80


def test_what_another_engine_holds_to_be_faster_is_given_back_for_a_window() -> None:
    memory = Memory(100)
    english, german = beside(memory, 0, 70)
    assert memory.free == 30
    result = english.begin(batch(english, " ".join(SENTENCES)), nothing)()
    assert result.answers == ((),)
    assert memory.free == 100
    assert german.begin(batch(german, SENTENCES[0]), nothing)().answers == ((),)


def test_a_window_that_does_not_fit_alone_is_rejected_and_no_neighbour_with_it() -> None:
    memory = Memory(50)
    english, german = beside(memory, 0, 20)
    first = german.begin(batch(german, "Marta of Nordbank"), nothing)
    result = english.begin(batch(english, " ".join(SENTENCES), "Kotor"), nothing)()
    assert isinstance(result.answers[0], RejectedMessage)
    assert result.answers[0].code == "out_of_memory"
    assert result.answers[1] == ()
    assert first().answers == ((),)


def test_memory_that_is_gone_for_good_ends_the_worker() -> None:
    memory = Memory(100)
    english, _ = beside(memory, 0, 0)
    long = batch(english, " ".join(SENTENCES))
    assert english.begin(long, nothing)().answers == ((),)
    memory.free -= 90
    with pytest.raises(DeviceFailed, match="something else takes it"):
        english.begin(long, nothing)()


def test_models_on_a_cpu_compute_in_the_same_threads() -> None:
    """Two for a core would take its caches from each other; the answers are as before."""
    taggers = [tiny_tagger(threads=2), tiny_tagger("roberta", threads=2)]
    articles = [article(number, text) for number, text in enumerate(SENTENCES)]
    before = [tag(tagger, articles).answers for tagger in taggers]
    pools = []
    for tagger in taggers:
        engine = tagger._forward._engine
        assert isinstance(engine, CpuEngine)
        assert isinstance(engine, SharesThreads)
        pools.append(engine._streams)
    run_beside(taggers)
    shared = {id(tagger._forward._engine._streams) for tagger in taggers}  # type: ignore[attr-defined]
    assert shared == {id(pools[0])}
    assert pools[1]._pool._shutdown
    assert [tag(tagger, articles).answers for tagger in taggers] == before


def test_the_engine_of_a_cuda_device_gives_back_what_its_device_does() -> None:
    engine = varlen_engine(load_tiny())
    assert isinstance(engine, HoldsSpareMemory)
    assert not engine.give_back()
    engine.device.spare = True  # type: ignore[attr-defined]
    assert engine.give_back()
    assert not engine.give_back()
