"""Everyone who runs a model: the worker's own forms, and the peers that are installed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from consumer.bench.model.ceiling import Ceiling, ceiling_precisions
from consumer.bench.model.contest import Clock, Contestant, engine_contestant
from consumer.bench.model.exporting import calibration_windows
from consumer.bench.model.hugging_face import HuggingFacePipeline
from consumer.bench.model.padded import PaddedPeer
from consumer.bench.model.peer import PEERS, Peer
from consumer.contracts.errors import ModelError, class_and_line
from consumer.contracts.messages import Article
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import Selection, load_model, select_engine, with_fallback
from consumer.tagging.tagger import TaggingOptions

#: Articles on which the pipeline's batch size is chosen.
_TRIED_ARTICLES = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entrant:
    """What is measured.

    Attributes:
        model, revision: as `load_model` takes them.
        threads: CPU threads of everyone; 0 takes as many as torch does.
        options: windows and batches.
        articles: what is tagged.
        clock: what counts the seconds.
        with_peers: whether there are others than the worker's own forms and the ceiling.
    """

    model: str
    revision: str
    threads: int
    options: TaggingOptions
    articles: Sequence[Article]
    clock: Clock
    with_peers: bool


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Who runs.

    Attributes:
        contestants: the first is the worker's float32, the reference of all entities.
        ceilings: matmul alone, by precision.
        left_out: who does not run, and why.
        auto: the precision that the worker takes by itself.
        tokens: of the articles, special tokens and overlaps included.
    """

    contestants: list[Contestant]
    ceilings: dict[str, Ceiling]
    left_out: dict[str, str]
    auto: str
    tokens: int


def gather(entrant: Entrant, on_progress: Callable[[str], None]) -> Field:
    """Load the model in every form; blocks, for minutes where a peer quantizes it.

    Raises:
        ModelError: the model cannot be loaded.
    """

    def load(dtype: str, peers: bool = False) -> LoadedModel:
        return load_model(
            entrant.model,
            entrant.revision,
            "cpu",
            dtype,
            entrant.threads,
            modules_of_transformers=peers,
        )

    threads = entrant.threads or torch.get_num_threads()
    contestants: list[Contestant] = []
    left_out: dict[str, str] = {}
    on_progress("nerstream auto")
    auto = with_fallback("auto", lambda dtype: select_engine(load(dtype), False))
    forms: list[Selection] = []
    for precision in ceiling_precisions():
        on_progress(f"nerstream {precision}")
        try:
            forms.append(select_engine(load(precision), False))
        except ModelError as error:
            left_out[f"nerstream {precision}"] = str(error)
    # The worker's own float32 need not be the one that has transformers' numbers.
    forms += [auto] if auto.model.info.dtype == "float32" else []
    for form in forms:
        model = form.model
        contestants.append(
            engine_contestant(
                "nerstream",
                model.info.dtype,
                model,
                form.engine,
                entrant.options,
                entrant.articles,
                entrant.clock,
                is_ours=True,
            )
        )
        if model.info.dtype == "float32" and not model.is_exact:
            contestants[-1].note = "auto"
    plain = load("float32", peers=True)
    on_progress("ceiling")
    ceilings = {
        precision: Ceiling(plain, precision, entrant.clock)
        for precision in dict.fromkeys(one.precision for one in contestants)
    }
    if entrant.with_peers:
        on_progress("Hugging Face pipeline")
        contestants.append(_pipeline(entrant, plain))
        for peer in PEERS:
            on_progress(f"{peer.name} {peer.precision}")
            contestant = _peer(peer, entrant, plain, threads, left_out)
            if contestant is not None:
                contestants.append(contestant)
    reference = contestants[0].tagger
    assert reference is not None
    encodings = reference.encode(entrant.articles)
    return Field(
        contestants,
        ceilings,
        left_out,
        auto.model.info.dtype,
        sum(encoding.tokens for encoding in encodings),
    )


def _peer(
    peer: Peer,
    entrant: Entrant,
    model: LoadedModel,
    threads: int,
    left_out: dict[str, str],
) -> Contestant | None:
    name = f"{peer.name} {peer.precision}"
    if peer.missing:
        left_out[name] = f"{', '.join(peer.missing)} not installed"
        return None
    try:
        engine = peer.make(model, threads)
    except Exception as error:  # a peer that cannot take this model is told, and left out
        _log.debug("%s", name, exc_info=True)
        left_out[name] = class_and_line(error)
        return None
    contestant = engine_contestant(
        peer.name, peer.precision, model, engine, entrant.options, entrant.articles, entrant.clock
    )
    if isinstance(engine, PaddedPeer):
        windows = [window[0].astype(np.int32) for window in calibration_windows(model)]
        engine.choose_rectangle(windows, entrant.clock)
        contestant.note = f"rectangles of {engine.rectangle_tokens:,} tokens"
    return contestant


def _pipeline(entrant: Entrant, model: LoadedModel) -> Contestant:
    folder = find_model_folder(entrant.model, entrant.revision).path
    pipeline = HuggingFacePipeline(model, str(folder), entrant.clock)
    texts = [field.text for article in entrant.articles for field in article.fields]
    pipeline.choose_batch_size(texts[:_TRIED_ARTICLES])
    return Contestant(
        "Hugging Face pipeline",
        "float32",
        False,
        lambda: pipeline.seconds(texts),
        note=f"batch size {pipeline.batch_size}",
    )
