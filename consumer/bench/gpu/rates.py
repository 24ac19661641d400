"""Rates that the GPU benchmark measures. Each runs for a given time after a warm-up, and blocks."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from consumer.contracts.messages import Article, PreparedArticle
from consumer.tagging.engine.cuda.varlen_engine import VarlenEngine
from consumer.tagging.engine.overlap import StartedPass, Starter
from consumer.tagging.tagger import Tagger

Clock = Callable[[], float]
Passes = Sequence[Sequence[NDArray[np.int32]]]


def matrix_rate(seconds: float, size: int = 8192) -> tuple[float, float]:
    """Floating-point operations a second of a bf16 matmul of two square matrices: of the first
    thirty matmuls, and of so many as take `seconds`. A large GPU lowers its clock within a second
    of such work, so that the first rate is one that no program keeps up.

    Random numbers, since zeros are faster than any data.
    """
    left, right = torch.randn(2, size, size, device="cuda", dtype=torch.bfloat16)

    def matmuls_s(count: int) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            left @ right
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000 / count

    matmuls_s(5)
    first_s = matmuls_s(30)
    operations = 2.0 * size**3
    return operations / first_s, operations / matmuls_s(int(seconds / first_s))


def engine_rate(engine: VarlenEngine, passes: Passes, seconds: float, clock: Clock) -> float:
    """Tokens a second through an engine, as `Forward` asks it: the next pass is begun before the
    one before is asked for its answer. What fills passes up is not counted.

    All passes run three times first, so that every shape that is captured is captured.
    """
    for _ in range(3):
        _through(engine, passes)
    begin, tokens = clock(), 0
    while clock() - begin < seconds:
        tokens += _through(engine, passes)
    return tokens / (clock() - begin)


def _through(engine: VarlenEngine, passes: Passes) -> int:
    starter, running, tokens = Starter(engine), deque[StartedPass](), 0
    for windows in passes:
        running.append(starter.start(windows))
        if len(running) >= starter.passes:
            tokens += len(running.popleft().answer().label_ids)
    return tokens + sum(len(started.answer().label_ids) for started in running)


def tagger_rate(
    tagger: Tagger, articles: Sequence[Article], batch: int, seconds: float, clock: Clock
) -> tuple[float, float]:
    """Tokens a second through a tagger in one thread: of tagging alone, and tokenising included.

    Args:
        batch: articles tagged together.
    """
    batches = [articles[place : place + batch] for place in range(0, len(articles), batch)]
    tagging_s = encoding_s = 0.0
    tokens = 0
    warm = False
    while not warm or tagging_s + encoding_s < seconds:
        for one in batches:
            begin = clock()
            encodings = tagger.encode(one)
            encoded = clock()
            prepared = [PreparedArticle(*pair) for pair in zip(one, encodings, strict=True)]
            counted = tagger.tag(prepared, lambda: None).tokens
            if warm:
                encoding_s += encoded - begin
                tagging_s += clock() - encoded
                tokens += counted
        warm = True
    return tokens / tagging_s, tokens / (tagging_s + encoding_s)


def pipeline_rate(
    folder: Path,
    bodies: Sequence[str],
    tokens: int,
    batch_sizes: Sequence[int],
    seconds: float,
    clock: Clock,
    device: str = "cuda",
) -> dict[int, float]:
    """Tokens a second of transformers' own pipeline in fp16, by batch size.

    The texts are sorted by length, which is the best case: it fills the shorter ones up to the
    longest of their batch.

    Args:
        tokens: of all texts, special tokens included, counted as ours are.
    """
    transformers.logging.set_verbosity_error()
    dtype = torch.float16 if device == "cuda" else torch.float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = transformers.pipeline(
            "token-classification",
            model=str(folder),
            device=device,
            dtype=dtype,
            aggregation_strategy="simple",
        )
        ordered = sorted(bodies, key=len)
        rates = {}
        for size in batch_sizes:
            peer(ordered[:size], batch_size=size)
            begin, rounds = clock(), 0
            while not rounds or clock() - begin < seconds:
                peer(ordered, batch_size=size)
                rounds += 1
            rates[size] = rounds * tokens / (clock() - begin)
    return rates
