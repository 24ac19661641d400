"""What the worker's codec finds at the address of the schema registry."""

from __future__ import annotations

from consumer.contracts.choices import InputFormat
from consumer.contracts.errors import RegistryProblem, RegistryUnavailable
from consumer.doctor.facts import RegistryFacts
from consumer.loading import worker_codec_from
from consumer.settings.schema import Settings
from consumer.settings.secrets import without_user


def look_at_registry(settings: Settings) -> RegistryFacts | None:
    """Ask it as a worker does when it starts; None where messages need no registry.

    Raises:
        SettingsError: the registry's client does not take a property, or is not installed.
    """
    if settings.input_format is InputFormat.JSON:
        return None
    url = without_user(settings.registry["url"])
    codec = worker_codec_from(settings)
    try:
        codec.open()
    except (RegistryProblem, RegistryUnavailable) as problem:
        return RegistryFacts(url, str(problem))
    finally:
        codec.close()
    return RegistryFacts(url)
