"""The tagger: articles in, entities out. Fulfils `consumer.contracts.ports.Tagger`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from tokenizers import Tokenizer

from consumer.contracts.choices import Aggregation, Switch
from consumer.contracts.errors import ModelError, SettingsError, first_line
from consumer.contracts.messages import (
    Answer,
    Article,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
)
from consumer.tagging.engine.engine import Engine, is_out_of_memory
from consumer.tagging.engine.forward import Forward, share_device
from consumer.tagging.engine.forward_run import ForwardResult
from consumer.tagging.entities import READ_FIRST, find_entities
from consumer.tagging.model.guard.checksum import Pins
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model, select_engine, with_fallback
from consumer.tagging.tokenize.encoding import ArticleEncoding, TextTokenizer
from consumer.tagging.tokenize.tokenizer_options import TokenizerOptions, make_text_tokenizer
from consumer.tagging.tokenize.tokenizer_process import spec_of
from consumer.tagging.tokenize.tokenizer_processes import OneTokenizer, TokenizerProcesses

_log = logging.getLogger(__name__)

#: Calls that are sent, or whose answer is taken apart, while every process has one.
_CALLS_BESIDE_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class TaggingOptions:
    """How a loaded model is used.

    Attributes:
        aggregation: how labels become entities, see `consumer.tagging.entities`.
        window_overlap_tokens: tokens that neighbouring windows of a long text share; at most
            half of a window is used.
        window_tokens: longest window, special tokens included; 0, or more than the model takes,
            is the model's limit.
        batch_tokens: most tokens of one forward pass.
        tokenizer_processes: processes that tokenise; 0 tokenises in the caller's.
    """

    aggregation: Aggregation = Aggregation.WORD
    window_overlap_tokens: int = 64
    window_tokens: int = 0
    batch_tokens: int = 16_384
    tokenizer_processes: int = 0


def load_tagger(
    *,
    model: str,
    revision: str,
    device: str,
    dtype: str,
    threads: int,
    aggregation: str,
    window_overlap_tokens: int,
    batch_tokens: int,
    window_tokens: int = 0,
    tokenizer_processes: int = 0,
    model_sha256: Sequence[str] = (),
    require_pinned_model: str = Switch.OFF,
) -> Tagger:
    """Load a model and make it ready to tag. Blocks for seconds, or for a download.

    The arguments are those settings of `consumer.settings.schema.Settings`.

    Raises:
        ModelError: see `consumer.tagging.select.load_model`; or the device cannot run the model.
        SettingsError: `window_tokens` leaves no room for text.
        TokenizerFailed: the processes that tokenise do not begin.
        ValueError: no such aggregation.
    """
    options = TaggingOptions(
        Aggregation(aggregation),
        window_overlap_tokens,
        window_tokens,
        batch_tokens,
        tokenizer_processes,
    )
    pins = Pins(model_sha256, required=require_pinned_model == Switch.ON)
    try:
        return with_fallback(
            dtype,
            lambda taken: Tagger(
                load_model(model, revision, device, taken, threads, pins=pins), options
            ),
        )
    except RuntimeError as error:
        # Moving the weights, and the first passes, which find out how to run the model.
        if is_out_of_memory(error):
            raise ModelError(
                f"model {model}: the device has no memory for it; give the worker a device with "
                "more memory, or to itself, or choose a smaller model"
            ) from error
        raise ModelError(
            f"model {model}: it does not run on this device: {first_line(error)}"
        ) from error


class Tagger:
    """Finds the entities. `encode` may run in one thread while `tag` runs in another.

    Args:
        model: a loaded model, which belongs to this tagger from now on.
        options: how to use it.
        engine: how to run it; None takes the one that `select_engine` finds.

    Raises:
        SettingsError: `window_tokens` leaves no room for text.
        TokenizerFailed: the processes that tokenise do not begin.
    """

    def __init__(
        self, model: LoadedModel, options: TaggingOptions, engine: Engine | None = None
    ) -> None:
        needs_probabilities = options.aggregation is Aggregation.AVERAGE
        self._strategy = options.aggregation
        self._tokenizer_options = TokenizerOptions(
            strategy=options.aggregation,
            capacity=_capacity(model, options.window_tokens),
            special_tokens=model.special_tokens,
            reserved_ids=frozenset((*model.prefix_ids, *model.suffix_ids, model.pad_id)),
            unknown_id=model.unknown_id,
            overlap=options.window_overlap_tokens,
        )
        self._text_tokenizer: TextTokenizer | OneTokenizer = make_text_tokenizer(
            model.tokenizer, self._tokenizer_options
        )
        self._model = model
        if options.tokenizer_processes:
            tokenize_beside([self], options.tokenizer_processes)
        if engine is None:
            selection = select_engine(model, needs_probabilities)
            model, engine = selection.model, selection.engine
            self._model = model
        self._info = replace(model.info, answers="exact" if engine.is_exact else "rounded")
        self._forward = Forward(
            model,
            engine,
            options.batch_tokens,
            outputs=len(model.labels.type_ids) if needs_probabilities else 0,
            reads_all=options.aggregation not in READ_FIRST,
        )

    @property
    def info(self) -> ModelInfo:
        """The model that answers."""
        return self._info

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The same, as `consumer.contracts.ports.Tagger` has it."""
        return (self._info,)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, without truncation and padding."""
        return self._model.tokenizer

    def encode(self, articles: Sequence[Article]) -> list[ArticleEncoding]:
        """Tokenise articles; releases the interpreter lock.

        A field of white space alone has no tokens and costs nothing.
        """
        return self._text_tokenizer.encode([[f.text for f in one.fields] for one in articles])

    @property
    def encodings_at_once(self) -> int:
        """Calls of `encode` that are worth having under way at once."""
        if isinstance(self._text_tokenizer, OneTokenizer):
            return self._text_tokenizer.processes.count + _CALLS_BESIDE_PROCESSES
        # On a CPU the model needs the cores itself, so one call at a time is enough. Beside a GPU
        # the tokenizer keeps the cores busy until the longest text of a call is done. Then one
        # thread fetches what it found, and with a second call the cores have work meanwhile.
        return 1 if self._model.device.type == "cpu" else 2

    @property
    def overlaps(self) -> bool:
        """Whether articles that were begun are computed while the caller does something else."""
        return self._forward.overlaps

    def await_room(self) -> None:
        """Block until another batch would be computed as soon as it is begun. Nothing waits where
        batches do not overlap.

        Raises:
            DeviceFailed: as `begin`.
        """
        self._forward.await_room()

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        """`begin`, and its answer. Blocks until all answers are here."""
        return self.begin(articles, progress)()

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        """Begin to run the model; what comes back is called once, for the answers, and blocks
        until all are here. Another batch may be begun in between.

        An article that the device cannot hold, or whose logits are not finite, is answered with
        a `RejectedMessage`; its neighbours are not touched by it.

        Args:
            articles: any number, encoded by this tagger.
            progress: called after every forward pass.

        Raises:
            TypeError: an article was not encoded by a tagger like this one.
            DeviceFailed: the device failed for a reason that is not in the articles; the call for
                the answers raises it too.
        """
        encodings = [_own_encoding(article) for article in articles]
        return partial(self._finish, articles, encodings, self._compute(encodings, progress))

    def compute(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], ForwardResult]:
        """As `begin`, without finding entities in the answers: what the model alone takes."""
        return self._compute([_own_encoding(article) for article in articles], progress)

    def _compute(
        self, encodings: Sequence[ArticleEncoding], progress: Callable[[], None]
    ) -> Callable[[], ForwardResult]:
        return partial(self._forward.finish, self._forward.begin(encodings, progress))

    def _finish(
        self,
        articles: Sequence[PreparedArticle],
        encodings: Sequence[ArticleEncoding],
        answers_of_model: Callable[[], ForwardResult],
    ) -> TaggingResult:
        result = answers_of_model()
        found = iter(
            find_entities(
                [field for article in articles for field in article.article.fields],
                [field for encoding in encodings for field in encoding.fields],
                result.predictions,
                self._model.labels,
                self._strategy,
            )
        )
        answers: list[Answer] = [
            tuple(chain.from_iterable(islice(found, len(encoding.fields))))
            for encoding in encodings
        ]
        for number, rejection in result.rejected.items():
            answers[number] = rejection
        share = ModelShare(
            self._info,
            tokens=sum([encoding.tokens for encoding in encodings]),
            computed_tokens=result.computed_tokens,
            out_of_memory_splits=result.out_of_memory_splits,
        )
        return TaggingResult.of_one_model(tuple(answers), share)


def tokenize_beside(taggers: Sequence[Tagger], count: int) -> None:
    """Let taggers tokenise in so many processes, which they share, instead of in this one.

    Raises:
        TokenizerFailed: they do not begin.
    """
    specs = [spec_of(one._model.tokenizer, one._tokenizer_options) for one in taggers]
    processes = TokenizerProcesses(specs, count)
    for number, tagger in enumerate(taggers):
        tagger._text_tokenizer = OneTokenizer(processes, number)


def run_beside(taggers: Sequence[Tagger]) -> None:
    """Let taggers run beside each other on one device, see `share_device`."""
    share_device([one._forward for one in taggers])


def _own_encoding(article: PreparedArticle) -> ArticleEncoding:
    if not isinstance(article.encoding, ArticleEncoding):
        raise TypeError(f"encoded by {type(article.encoding).__name__}, not by this tagger")
    return article.encoding


def _capacity(model: LoadedModel, window_tokens: int) -> int:
    """Tokens of text that a window holds."""
    if 0 < window_tokens <= model.special_tokens:
        raise SettingsError(
            "window_tokens",
            f"{window_tokens} leaves no room for text beside the {model.special_tokens} special "
            f"tokens of {model.info.name}",
            f"give 0 for the model's limit of {model.max_tokens}, or a window of sentences, such "
            "as 256",
        )
    return min(window_tokens or model.max_tokens, model.max_tokens) - model.special_tokens
