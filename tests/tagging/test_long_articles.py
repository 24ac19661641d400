"""How much it matters where the windows of a long article are cut."""

from __future__ import annotations

import json

from consumer.contracts.messages import Entity
from consumer.resources import sample_lines
from consumer.tagging.tagger import Tagger, load_tagger
from tests.support.models.tiny_models import entities_of

#: Share of the entities that stay the same when every cut moves: 0.87 was measured, 0.80 without
#: overlap. The rest is the bundled model's, whose answer depends on a word's place in its window.
AGREEMENT = 0.84


def bundled(window_overlap_tokens: int) -> Tagger:
    return load_tagger(
        model="bundled",
        revision="",
        device="cpu",
        dtype="float32",
        threads=1,
        aggregation="word",
        window_overlap_tokens=window_overlap_tokens,
        batch_tokens=4_096,
        # They give many cuts.
        window_tokens=192,
    )


def test_most_entities_stay_when_every_cut_moves_and_overlap_helps() -> None:
    """The sample articles as one of thousands of tokens, tagged again behind another beginning."""
    bodies = sample_bodies()
    first, rest = bodies[0], "\n\n".join(bodies[1:25])
    agreements = {}
    for overlap in (0, 96):
        tagger = bundled(overlap)
        plain = entities_of(tagger, rest)
        shift = len(first) + 2
        moved = entities_of(tagger, f"{first}\n\n{rest}")
        # The beginning of the first article is the beginning of the text in one of the two.
        ours = spans(plain, 0, len(bodies[1]))
        theirs = spans(moved, shift, len(bodies[1]))
        assert len(ours) > 200
        agreements[overlap] = 2 * len(ours & theirs) / (len(ours) + len(theirs))
    assert agreements[96] > AGREEMENT, agreements
    assert agreements[96] > agreements[0], agreements


def spans(entities: tuple[Entity, ...], shift: int, begin: int) -> set[tuple[int, int, str]]:
    return {(e.start - shift, e.end - shift, e.type) for e in entities if e.start - shift >= begin}


def sample_bodies() -> list[str]:
    bodies = []
    for line in sample_lines():
        try:
            body = json.loads(line).get("body")
        except (ValueError, AttributeError):
            continue
        if isinstance(body, str) and len(body) > 200:
            bodies.append(body)
    return bodies
