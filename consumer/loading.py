"""The tagger and the codecs that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumer.codec.article_codec import Codec
from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import InputFormat, OutputFormat
from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings

if TYPE_CHECKING:
    from consumer.tagging.tagger import Tagger

#: The settings that `load_tagger` takes, by the same names: those of the commands that need no
#: Kafka.
TAGGER_SETTINGS = (
    "model",
    "revision",
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
MESSAGE_SETTINGS = ("preset", "text_fields", "id_field", "no_text", "output_field")

#: Other than the worker, such a command needs nothing but what is installed.
OFFLINE_DEFAULTS = {"model": "bundled"}


def tagger_from(settings: Settings) -> Tagger:
    """Load the model that the settings name. Blocks; the first call in a process imports torch.

    Raises:
        ModelError: the model cannot be loaded.
        SettingsError: `window_tokens` leaves no room for text.
    """
    # Imported here: torch takes seconds, which `--help` and a wrong setting should not.
    from consumer.tagging.tagger import load_tagger

    return load_tagger(**{name: getattr(settings, name) for name in TAGGER_SETTINGS})


def codec_from(settings: Settings) -> Codec:
    """What reads and writes messages as the settings say."""
    return Codec(
        settings.text_fields,
        id_field=settings.id_field,
        no_text=settings.no_text,
        output_field=settings.output_field,
    )


def worker_codec_from(settings: Settings) -> Codec:
    """The same for messages in Kafka: in `input_format`, with schemas from a registry where that
    asks for one. Connects to nothing yet.

    Raises:
        SettingsError: the registry's client does not take a property, or is not installed.
    """
    if settings.input_format is InputFormat.JSON:
        return codec_from(settings)
    place = OutputPlace(settings.output_field)
    try:
        # Imported here: an extra that most workers do without.
        from consumer.codec.registry.choice import message_format
        from consumer.kafka.registry import ConfluentRegistry

        registry = ConfluentRegistry(settings.registry)
    except ImportError as missing:
        raise SettingsError(
            "input_format",
            f"{settings.input_format} needs more than is installed ({missing})",
            "install nerstream[registry]",
        ) from missing
    subjects = None
    if settings.output_format is not OutputFormat.JSON:
        subjects = Subjects(settings.subject_name_strategy, settings.output_topic)
    return Codec(
        settings.text_fields,
        id_field=settings.id_field,
        no_text=settings.no_text,
        output_field=settings.output_field,
        message_format=message_format(settings.input_format, registry, subjects, place),
    )
