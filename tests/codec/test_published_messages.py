"""Messages of a folder, one a file, through a preset: `PUBLISHED_MESSAGES=folder pytest ...`.

None may be rejected, and each entity must stand where it is said to. Without a folder the samples
of the guide are read. What is made of the messages by breaking them may be rejected, with a reason.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.fields.places import resolve
from consumer.codec.text.source import read_html
from consumer.contracts.choices import NoText, Preset, RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Position,
    PreparedArticle,
    RawMessage,
    TaggedArticle,
    Tombstone,
    TopicPartition,
    Untagged,
)
from consumer.contracts.ports import Tagger
from consumer.loading import codec_from, refined
from consumer.settings.schema import Settings
from tests.support.models.tiny_models import tiny_tagger

SAMPLES = Path(__file__).parents[2] / "docs" / "guides" / "samples" / "ninjs.jsonl"
SETTINGS = Settings(preset=Preset(os.environ.get("PRESET", "ninjs")), no_text=NoText.PASS)

#: Broken messages that are made of each.
BROKEN = 100


def messages() -> list[tuple[str, Any]]:
    """Name and document of each message."""
    folder = os.environ.get("PUBLISHED_MESSAGES")
    if not folder:
        lines = SAMPLES.read_text(encoding="utf-8").splitlines()
        return [(f"sample {number}", json.loads(line)) for number, line in enumerate(lines, 1)]
    files = sorted(Path(folder).glob("**/*.json"))
    return [(file.name, json.loads(file.read_text(encoding="utf-8-sig"))) for file in files]


MESSAGES = messages()


def tagger() -> Tagger:
    return refined(tiny_tagger(), SETTINGS)


def decoded(codec: Codec, document: Any) -> Article | Untagged | Tombstone | RejectedMessage:
    """What is read of a message, or why it is not."""
    value = json.dumps(document).encode()
    message = RawMessage(Position(TopicPartition("t", 0), 0), None, value, (), 1, 0)
    try:
        return codec.decode(message)
    except RejectedMessage as reason:
        return reason


def written(codec: Codec, document: Any) -> tuple[Article | Untagged, dict[str, Any]]:
    """What is read of a message, and the message that comes out."""
    found = decoded(codec, document)
    assert isinstance(found, Article | Untagged), found
    outcome: TaggedArticle | Untagged
    if isinstance(found, Untagged):
        outcome = found
    else:
        one = tagger()
        prepared = [PreparedArticle(found, one.encode([found])[0])]
        result = one.begin(prepared, lambda: None)()
        (answer,) = result.answers
        assert isinstance(answer, tuple)
        outcome = TaggedArticle(found, answer, 1, result.models[0])
    return found, json.loads(codec.encode(outcome, 1))


def check(found: Article | Untagged, document: Any, out: dict[str, Any]) -> int:
    """That entities stand in their fields and all else is as it was; how many there are."""
    texts = {field.name: field for field in found.fields} if isinstance(found, Article) else {}
    for entity in out["entities"]:
        source = resolve(document, entity["field"])
        surface = source[entity["start"] : entity["end"]]
        if texts[entity["field"]].source is not None:
            surface = " ".join(read_html(surface)[0].split())
            assert surface == " ".join(entity["text"].split())
        else:
            assert surface == entity["text"]
    kept = {name: value for name, value in out.items() if name not in ("entities", "tagging")}
    assert kept == {
        name: value for name, value in document.items() if name not in ("entities", "tagging")
    }
    return len(out["entities"])


@pytest.mark.parametrize(("name", "document"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_no_message_is_rejected_and_every_entity_stands_in_its_field(
    name: str, document: Any
) -> None:
    found, out = written(codec_from(SETTINGS), document)
    entities = check(found, document, out)
    if isinstance(found, Article):
        fields = ", ".join(field.name for field in found.fields)
        print(f"{name}: {entities} entities in {fields}")
    else:
        print(f"{name}: passed, {found.reason}")


@pytest.mark.parametrize(("name", "document"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_broken_ones_are_read_or_rejected_with_a_reason(name: str, document: Any) -> None:
    codec = codec_from(SETTINGS)
    rng = random.Random(name)
    for _ in range(BROKEN):
        broken = spoiled(rng, document)
        found = decoded(codec, broken)
        if isinstance(found, RejectedMessage):
            assert found.code in list(RejectCode)
            assert "\n" not in found.message
            assert len(found.message) < 1_000
            continue
        assert isinstance(found, Article | Untagged)
        if isinstance(found, Article):
            for field in found.fields:
                assert isinstance(resolve(broken, field.name), str)


def spoiled(rng: random.Random, document: Any) -> Any:
    """The message with one to three of its values removed, exchanged or replaced."""
    broken = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        places = [place for place in _places(broken) if place]
        if not places:
            return broken
        container, key = rng.choice(places)
        odd: list[Any] = [None, "", 0, 7.5, True, [], {}, ["x"], {"value": 5}, [[{"value": "x"}]]]
        match rng.randrange(3):
            case 0:
                del container[key]
            case 1:
                container[key] = rng.choice(odd)
            case _:
                other, name = rng.choice(places)
                container[key] = copy.deepcopy(other[name])
    return broken


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
