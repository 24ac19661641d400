"""From the labels of tokens to entities: plain arrays, no torch.

Tokens form units, and units of one type in a row form an entity. A unit is a word under the
strategy `word`; a token under `none` and `simple`; what Hugging Face's pipeline takes for a word
under `first`, `average` and `max`. A unit's label and its probability are those of its first
token (`word`, `first`), of its most certain token (`max`), or of the mean of its tokens'
probabilities (`average`).

A label with B, S or U begins an entity. A label with I, M, E or L, or a bare one, goes on with an
entity of its type, or else begins one. After E, L, S or U the next unit is in another entity. So
IOB1, IOB2, bare labels, BIOES and BILOU are read alike, broken sequences too. Under `none` every
token with a type is an entity. Hugging Face's pipeline knows B- and I- alone. For such labels and
bare ones its strategies give its answers. It takes other letters for a part of the type; here they
are read under every strategy.

An entity's score is the mean of its units' probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from consumer.contracts.choices import Aggregation
from consumer.contracts.messages import Entity, TextField, made
from consumer.tagging.model.labels import Labels
from consumer.tagging.tokenize.encoding import FieldEncoding
from consumer.tagging.tokenize.words import BLANKS, whole_words

#: Those under which only the first token of a unit has a say.
READ_FIRST = (Aggregation.WORD, Aggregation.FIRST)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What the model says of n tokens.

    Attributes:
        label_ids: the most probable output of each token, shape (n,).
        scores: its probability, shape (n,); not a number where the logits were not finite.
        probabilities: all probabilities, shape (n, outputs); only for the strategy `average`.
    """

    label_ids: NDArray[np.int16]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None


def find_entities(
    texts: Sequence[TextField],
    encodings: Sequence[FieldEncoding],
    predictions: Predictions,
    labels: Labels,
    strategy: Aggregation,
) -> list[list[Entity]]:
    """The entities of each of some text fields, in the order of its text.

    A field has a hundred tokens, too few for arrays to be worth their calls. So the rules run over
    the tokens of all fields, end to end. No entity reaches from one field into the next.

    Args:
        texts: the fields as they came in.
        encodings: their tokens, one encoding a text.
        predictions: the model's answer for all tokens, the fields end to end; its scores are
            numbers.
    """
    bounds = np.cumsum([0, *[len(encoding.starts) for encoding in encodings]])
    if bounds[-1] == 0:
        return [[] for _ in texts]
    starts = np.concatenate([encoding.starts for encoding in encodings])
    ends = np.concatenate([encoding.ends for encoding in encodings])
    first = np.flatnonzero(np.concatenate([encoding.begins_unit for encoding in encodings]))
    last = np.append(first[1:], len(starts)) - 1
    label_ids, scores = _unit_labels(first, predictions, strategy)
    type_ids = labels.type_ids[label_ids]
    # A run of units without a type is a group as well, so that what follows it stands apart.
    opens = np.ones(len(first), dtype=np.bool_)
    if strategy is not Aggregation.NONE:
        opens[1:] = (
            (type_ids[1:] != type_ids[:-1])
            | labels.begins[label_ids[1:]]
            | labels.ends[label_ids[:-1]]
        )
        opens[np.searchsorted(first, bounds[:-1][np.diff(bounds) > 0])] = True
    groups = np.flatnonzero(opens)
    group_lasts = np.append(groups[1:], len(first)) - 1
    means = np.add.reduceat(scores, groups, dtype=np.float64) / (group_lasts - groups + 1)
    has_type = type_ids[groups] >= 0
    opening = first[groups[has_type]]
    found = zip(
        starts[opening].tolist(),
        ends[last[group_lasts[has_type]]].tolist(),
        type_ids[groups[has_type]].tolist(),
        # Rounding in float32 may put a certain answer a hair above 1.
        np.minimum(means[has_type], 1.0).tolist(),
        strict=True,
    )
    counts = np.diff(np.searchsorted(opening, bounds)).tolist()
    takes_words = strategy is Aggregation.WORD
    return [
        _cut_out(text, islice(found, count), labels.types, takes_words)
        for text, count in zip(texts, counts, strict=True)
    ]


def _cut_out(
    field: TextField,
    found: Iterable[tuple[int, int, int, float]],
    types: Sequence[str],
    takes_words: bool,
) -> list[Entity]:
    """The entities of one field, each found as its start, its end, the index of its type and its
    score. This runs once an entity: nothing else of the tagger does."""
    name, text, _ = field
    # No normalizer takes an ASCII letter away or makes another of it.
    takes_words = takes_words and not text.isascii()
    entities: list[Entity] = []
    for start, end, type_id, score in found:
        # Looked at before the call, which takes longer: few words have anything but ASCII at their
        # edges.
        if takes_words and not text[start - 1 if start else 0 : end + 1].isascii():
            start, end = whole_words(text, start, end)
        surface = text[start:end]
        stripped = surface.strip()
        if not stripped.isprintable():
            stripped = surface.strip(BLANKS)
        if not stripped:
            continue
        if stripped != surface:
            start += surface.index(stripped)
            end = start + len(stripped)
        entities.append(made(Entity, (name, types[type_id], stripped, start, end, score)))
    return entities


def _unit_labels(
    first: NDArray[np.intp], predictions: Predictions, strategy: Aggregation
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Label and probability of each unit, both of shape (units,)."""
    label_ids, scores = predictions.label_ids, predictions.scores
    if strategy is Aggregation.AVERAGE:
        probabilities = predictions.probabilities
        if probabilities is None:
            raise ValueError("the strategy average needs all probabilities of each token")
        counts = np.diff(first, append=len(probabilities))
        means = np.add.reduceat(probabilities, first, axis=0) / counts[:, None].astype(np.float32)
        best = means.argmax(axis=1)
        return best.astype(np.int16), means[np.arange(len(means)), best]
    if strategy is Aggregation.MAX:
        highest = np.maximum.reduceat(scores, first)
        unit_of_token = np.zeros(len(scores), dtype=np.intp)
        unit_of_token[first[1:]] = 1
        unit_of_token = np.cumsum(unit_of_token)
        # The first token that has the highest score of its unit, as max() picks it.
        at_highest = np.flatnonzero(scores == highest[unit_of_token])
        chosen = at_highest[np.unique(unit_of_token[at_highest], return_index=True)[1]]
        return label_ids[chosen], scores[chosen]
    return label_ids[first], scores[first]
