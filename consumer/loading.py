"""The tagger that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
