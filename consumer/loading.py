"""The tagger and the codecs that the settings ask for."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from consumer.codec.article_codec import Codec
from consumer.codec.json_comparison import JsonComparison
from consumer.codec.kept_answers import KeptAnswers
from consumer.codec.language import LanguageStep
from consumer.codec.output_place import RESERVED_FIELDS, RESERVED_WITH_NAMES, OutputPlace
from consumer.codec.registry.subjects import Subjects
from consumer.contracts import ports
from consumer.contracts.choices import AlreadyTagged, InputFormat, OutputFormat, Switch, TextFormat
from consumer.contracts.errors import SettingsError
from consumer.contracts.languages import ANY_LANGUAGE
from consumer.contracts.messages import ModelInfo
from consumer.settings.schema import Settings

if TYPE_CHECKING:
    from consumer.tagging.tagger import Tagger

#: The settings that `load_tagger` takes, by the same names: those of the commands that need no
#: Kafka.
TAGGER_SETTINGS = (
    "model",
    "revision",
    "model_sha256",
    "require_pinned_model",
    "device",
    "dtype",
    "threads",
    "tokenizer_processes",
    "aggregation",
    "window_overlap_tokens",
    "window_tokens",
    "batch_tokens",
)

#: The settings that `codec_from` takes: those of every command that reads articles.
MESSAGE_SETTINGS = (
    "preset",
    "text_fields",
    "id_field",
    "no_text",
    "output_field",
    "text_format",
    "text_format_field",
    "language_field",
    "languages",
    "language_detection",
)

#: The settings that say which entities are published, and how; those of every command that
#: publishes them.
ENTITY_SETTINGS = ("min_score", "types", "type_names", "group_mentions")

#: What models call people; only their names have surnames.
_PEOPLE = ("PER", "PERSON", "PERS", "per", "person", "Person")

#: Other than the worker, such a command needs nothing but what is installed.
OFFLINE_DEFAULTS = {"model": "bundled"}


def tagger_from(settings: Settings) -> Tagger:
    """Load the model that the settings name. Blocks; the first call in a process imports torch.

    Raises:
        ModelError: the model cannot be loaded.
        SettingsError: `window_tokens` leaves no room for text.
    """
    with _no_collections():
        # Imported here: torch takes seconds, which `--help` and a wrong setting should not.
        from consumer.tagging.tagger import load_tagger

        return load_tagger(**{name: getattr(settings, name) for name in TAGGER_SETTINGS})


@contextmanager
def _no_collections() -> Iterator[None]:
    """Look for no garbage meanwhile. A million objects come with torch, and stay: to look through
    them while they become more is a tenth of the time until a model is loaded."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def checksums_of(settings: Settings) -> tuple[str, ...]:
    """The checksum of each model that the settings name. Blocks, for downloads too.

    Raises:
        ModelError: one cannot be found.
    """
    from consumer.tagging.model.folder import find_model_folder
    from consumer.tagging.model.guard.checksum import checksum
    from consumer.tagging.together import find_models

    if settings.models:
        folders = [one.folder for one in find_models(settings.models)]
    else:
        folders = [find_model_folder(settings.model, settings.revision)]
    return tuple(checksum(one.name, one.path) for one in folders)


def taggers_from(settings: Settings) -> ports.Tagger:
    """As `tagger_from`; where the settings name a model for each language, all of them behind one
    tagger. Blocks."""
    if not settings.models:
        return tagger_from(settings)
    with _no_collections():
        from consumer.tagging.together import load_taggers

        names = [name for name in TAGGER_SETTINGS if name not in ("model", "revision")]
        return load_taggers(settings.models, **{name: getattr(settings, name) for name in names})


def codec_from(settings: Settings) -> Codec:
    """What reads and writes messages as the settings say."""
    return _codec(settings, None)


def _codec(settings: Settings, message_format: ports.MessageFormat | None) -> Codec:
    return Codec(
        settings.text_fields,
        id_field=settings.id_field,
        no_text=settings.no_text,
        output_field=settings.output_field,
        message_format=message_format,
        text_format=settings.text_format,
        text_format_field=settings.text_format_field,
        language=_language_step(settings),
        people=_people(settings) if settings.group_mentions is Switch.ON else None,
    )


def worker_codec_from(settings: Settings) -> Codec:
    """The same for messages in Kafka: in `input_format`, with schemas from a registry where that
    asks for one. Connects to nothing yet.

    Raises:
        SettingsError: the registry's client does not take a property, or is not installed.
    """
    if settings.input_format is InputFormat.JSON:
        return codec_from(settings)
    subjects = None
    if settings.output_format is not OutputFormat.JSON:
        subjects = Subjects(settings.subject_name_strategy, settings.output_topic)
    try:
        # Imported here: an extra that most workers do without.
        from consumer.codec.registry.choice import message_format
        from consumer.kafka.registry import ConfluentRegistry

        registry = ConfluentRegistry(settings.registry)
    except ImportError as missing:
        raise _not_installed(settings, missing) from missing
    return _codec(
        settings,
        message_format(
            settings.input_format,
            registry,
            subjects,
            _place(settings),
            has_names=settings.group_mentions is Switch.ON,
        ),
    )


def keeping_answers(codec: Codec, settings: Settings, models: Sequence[ModelInfo]) -> ports.Codec:
    """The codec of a worker whose models are these: itself, or, where the settings say so, one that
    lets pass what they have tagged before."""
    return codec if settings.already_tagged is AlreadyTagged.TAG else KeptAnswers(codec, models)


def comparison_from(settings: Settings) -> ports.Comparison:
    """What holds the values of outputs against those of inputs, in the formats of both. Connects to
    nothing yet.

    Raises:
        SettingsError: as `worker_codec_from`.
    """
    place = _place(settings)
    if settings.input_format is InputFormat.JSON:
        return JsonComparison(place)
    try:
        from consumer.codec.registry.choice import comparison
        from consumer.kafka.registry import ConfluentRegistry

        return comparison(settings.input_format, ConfluentRegistry(settings.registry), place)
    except ImportError as missing:
        raise _not_installed(settings, missing) from missing


def _place(settings: Settings) -> OutputPlace:
    has_names = settings.group_mentions is Switch.ON
    return OutputPlace(settings.output_field, RESERVED_WITH_NAMES if has_names else RESERVED_FIELDS)


def _not_installed(settings: Settings, missing: ImportError) -> SettingsError:
    return SettingsError(
        "input_format",
        f"{settings.input_format} needs more than is installed ({missing})",
        "install nerstream[registry]",
    )


def refined(tagger: ports.Tagger, settings: Settings) -> ports.Tagger:
    """The tagger, with what the settings ask of its entities; itself where they ask nothing.

    Raises:
        SettingsError: they name a type that no model answers with.
    """
    has_markup = settings.text_format != (TextFormat.PLAIN,) or settings.text_format_field
    if not (has_markup or settings.min_score or settings.types or settings.type_names):
        return tagger
    from consumer.tagging.refined import RefinedTagger

    return RefinedTagger(
        tagger,
        min_score=settings.min_score,
        types=settings.types,
        type_names=_type_names(settings),
    )


def _type_names(settings: Settings) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in settings.type_names)


def _people(settings: Settings) -> frozenset[str]:
    """The types of people, as they are published."""
    renamed = _type_names(settings)
    return frozenset(renamed.get(name, name) for name in _PEOPLE)


def _language_step(settings: Settings) -> LanguageStep | None:
    """What says an article's language; None where no setting asks for it.

    Raises:
        SettingsError: it must be detected, and what detects it is not installed.
    """
    tagged = _tagged_languages(settings)
    by_models = any(language != ANY_LANGUAGE for language in settings.models)
    if tagged is None and not by_models and not settings.language_field:
        return None
    detect = None
    if (tagged is not None or by_models) and settings.language_detection is Switch.ON:
        from consumer.codec.detection import LanguageDetector

        detect = LanguageDetector("languages" if settings.languages else "models").language_of
    return LanguageStep(settings.language_field, detect, tagged)


def _tagged_languages(settings: Settings) -> frozenset[str] | None:
    """The languages that are tagged; None where all are."""
    if settings.languages:
        return frozenset(settings.languages)  # for each of which there is a model
    if settings.models and ANY_LANGUAGE not in settings.models:
        return frozenset(settings.models)
    return None
