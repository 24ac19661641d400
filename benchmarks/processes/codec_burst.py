"""Half of `benchmarks.codec`: reads and writes messages for a while each time it is told to.

A program of its own, and by itself: it also runs in the tree of an earlier commit, whose codec is
called another way.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

#: Seconds of one burst.
BURST_S = 0.1


def main() -> None:
    """Read the shape to take from the arguments; print a rate for each line of standard input."""
    tree, shape = sys.argv[1:]
    sys.path.insert(0, tree)
    turn, count = turns(shape)
    turn()
    for _ in sys.stdin:
        done, started = 0, time.perf_counter()
        while (took := time.perf_counter() - started) < BURST_S:
            turn()
            done += count
        print(done / took, flush=True)


def turns(shape: str) -> tuple[Callable[[], None], int]:
    """What reads and writes every message once, and how many there are."""
    from consumer.bench.articles import news_articles
    from consumer.codec.article_codec import Codec
    from consumer.contracts import messages

    info = messages.ModelInfo("null", "", "none", "none", ())
    values = [_shaped(shape, json.loads(value)) for value in news_articles(100, 1, 2_048)]
    raws = [
        messages.RawMessage(
            messages.Position(messages.TopicPartition("t", 0), number), None, value, (), 1, 0
        )
        for number, value in enumerate(values)
    ]
    codec: Any = Codec(("title", "body")) if "names" in shape else _codec_of(shape)

    def turn_before() -> None:
        for raw in raws:
            article = codec.decode(raw)
            tagged: Any = messages.TaggedArticle(article, (), 1)  # type: ignore[call-arg]
            codec.encode(tagged, info, 1)

    def turn_now() -> None:
        for raw in raws:
            codec.encode(messages.TaggedArticle(codec.decode(raw), (), 1, info), 1)

    says_model = "model" in messages.TaggedArticle._fields
    return (turn_now if says_model else turn_before), len(raws)


def _codec_of(shape: str) -> Any:
    from consumer.loading import codec_from
    from consumer.settings.schema import Settings

    settings: dict[str, Any] = {
        "members": {"text_fields": ("payload.title", "payload.body")},
        "lists": {
            "text_fields": ("headlines[*].value", "bodies[?contenttype=='text/plain'].value")
        },
        "ninjs": {"preset": "ninjs"},
    }
    return codec_from(Settings(**settings[shape]))


def _shaped(shape: str, article: dict[str, Any]) -> bytes:
    """The same article in another shape; with `names-` before it, its texts stand at the top and
    all else as in that shape, so that the parser has the same to do."""
    id, title, body = article["id"], article["title"], article["body"]
    at_top = shape.startswith("names-")
    texts: dict[str, Any] = {"title": title, "body": body} if at_top else {}
    value = (lambda _text: {"kind": ""}) if at_top else (lambda text: {"value": text})
    lists = {
        "headlines": [{"role": "main", **value(title)}],
        "bodies": [{"contenttype": "text/plain", **value(body)}],
    }
    payload = {"a": "", "b": ""} if at_top else {"title": title, "body": body}
    shapes: dict[str, Any] = {
        "names": article,
        "members": {"id": id, **texts, "payload": payload},
        "lists": {"id": id, **texts, **lists},
        "ninjs": {"id": id, "uri": id, "type": "text", **texts, **lists},
    }
    document = shapes[shape.removeprefix("names-")]
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
