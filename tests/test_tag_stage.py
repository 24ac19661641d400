"""TagStage: each article gets its own answer, and a broken device rejects nothing."""

from __future__ import annotations

from consumer.articles import (
    Article,
    Batch,
    BatchItem,
    PreparedArticle,
    Rejected,
    TaggedArticle,
    TaggedBatch,
    TextField,
    Tombstone,
)
from consumer.pipeline.channel import Channel, ChannelAborted
from consumer.pipeline.inbox import PublishMessage
from consumer.pipeline.tag import TagStage
from consumer.rejections import RejectCode
from consumer.rejections import Stage as StageName
from tests.fake_observer import FakeObserver
from tests.fakes import PATIENCE_S, FakeEncoding, FakeTagger, ManualClock, raw


class Bench:
    """A tag stage between two channels."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tagger = FakeTagger()
        self.observer = FakeObserver()
        self.batches: Channel[Batch] = Channel(None)
        self.tagged: Channel[PublishMessage] = Channel(None)
        self.stage = TagStage(
            batches=self.batches,
            tagged=self.tagged,
            tagger=self.tagger,
            observer=self.observer,
            clock=self.clock,
        )

    def run(self, *batches: tuple[BatchItem, ...]) -> list[PublishMessage]:
        for items in batches:
            self.batches.put(Batch(items, 1, 0.0, 0.0))
        self.batches.close()
        self.stage.start(lambda: None)
        assert self.stage.join(PATIENCE_S)
        return self.tagged.get_many(100) if len(self.tagged) else []


def article(offset: int, text: str, tokens: int = 2) -> PreparedArticle:
    return PreparedArticle(
        Article(raw(offset), f"id-{offset}", (TextField("body", text),)), FakeEncoding(tokens)
    )


def test_answers_go_to_the_right_articles_in_order() -> None:
    items: tuple[BatchItem, ...] = (
        article(0, "Ada"),
        Rejected(raw(1), RejectCode.NO_TEXT, "no text", StageName.PREPARE),
        article(2, "nobody", tokens=5),
        Tombstone(raw(3)),
        article(4, "so said Grace"),
    )
    bench = Bench()
    (batch,) = bench.run(items)
    assert isinstance(batch, TaggedBatch)
    first, rejected, none, tombstone, last = batch.outcomes
    assert isinstance(first, TaggedArticle)
    assert isinstance(none, TaggedArticle)
    assert isinstance(last, TaggedArticle)
    assert [entity.text for entity in first.entities] == ["Ada"]
    assert (rejected, tombstone) == (items[1], items[3])
    assert (none.entities, none.tokens) == ((), 5)
    assert [entity.text for entity in last.entities] == ["Grace"]
    assert [outcome.raw.position.offset for outcome in batch.outcomes] == [0, 1, 2, 3, 4]


def test_an_article_that_cannot_be_tagged_is_rejected_and_its_neighbours_are_not() -> None:
    (batch,) = Bench().run((article(0, "Ada"), article(1, "nan"), article(2, "Grace")))
    assert isinstance(batch, TaggedBatch)
    first, rejected, last = batch.outcomes
    assert rejected == Rejected(
        raw(1), RejectCode.NOT_A_NUMBER, "the model answered with NaN", StageName.TAG
    )
    assert isinstance(first, TaggedArticle)
    assert isinstance(last, TaggedArticle)


def test_a_batch_without_articles_does_not_run_the_model() -> None:
    bench = Bench()
    tombstone = Tombstone(raw(0))
    assert bench.run((tombstone,)) == [TaggedBatch((tombstone,))]
    assert bench.tagger.batches == []


def test_batches_keep_their_order_and_the_end_is_passed_on() -> None:
    bench = Bench()
    outcomes = bench.run((article(0, "a"),), (article(1, "b"),), (article(2, "c"),))
    assert [
        outcome.raw.position.offset
        for batch in outcomes
        if isinstance(batch, TaggedBatch)
        for outcome in batch.outcomes
    ] == [0, 1, 2]
    assert bench.stage.failure is None
    assert [result.tokens for result in bench.observer.results] == [2, 2, 2]
    assert bench.observer.steps["tag"] == 3


def test_a_broken_device_fails_the_stage_and_rejects_nothing() -> None:
    bench = Bench()
    assert bench.run((article(0, "Ada"), article(1, "explode"))) == []
    assert isinstance(bench.stage.failure, ArithmeticError)


def test_a_tagger_that_answers_too_little_fails_the_stage() -> None:
    class Forgetful(FakeTagger):
        def tag(self, articles, progress):  # type: ignore[no-untyped-def]
            return super().tag(articles[1:], progress)

    bench = Bench()
    bench.stage._tagger = Forgetful()
    assert bench.run((article(0, "Ada"), article(1, "Grace"))) == []
    assert bench.stage.failure is not None


def test_an_aborted_channel_ends_the_stage_without_a_word_to_the_next() -> None:
    bench = Bench()
    bench.batches.abort()
    bench.stage.start(lambda: None)
    assert bench.stage.join(PATIENCE_S)
    assert isinstance(bench.stage.failure, ChannelAborted)
    bench.tagged.put(TaggedBatch(()))  # still open: nobody may take this for a full drain
