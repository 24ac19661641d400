"""Several models on one device, each for some languages."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consumer.contracts.choices import Switch
from consumer.contracts.errors import ModelError
from consumer.tagging.memory_check import check_memory
from consumer.tagging.model.device import find_device
from consumer.tagging.model.folder import BUNDLED, ModelFolder, find_model_folder
from consumer.tagging.model.guard.checksum import Pins
from consumer.tagging.routed import RoutedTagger
from consumer.tagging.tagger import Tagger, load_tagger, run_beside, tokenize_beside

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedModel:
    """A model that was found, and the languages that it is for.

    Attributes:
        name: as `load_tagger` takes it.
        folder: where it lies.
        languages: as the settings have them.
    """

    name: str
    folder: ModelFolder
    languages: list[str]

    @property
    def title(self) -> str:
        """What an error calls it: `de, fr: OWNER/NAME`."""
        return f"{', '.join(self.languages)}: {self.name}"


def load_taggers(
    models: Mapping[str, str],
    *,
    device: str,
    dtype: str,
    tokenizer_processes: int,
    model_sha256: Sequence[str] = (),
    require_pinned_model: str = Switch.OFF,
    **options: Any,
) -> Tagger | RoutedTagger:
    """Load a model for each language. Blocks, for downloads too.

    All are found before the first is loaded, and the device is known to hold them. Languages that
    name one model share it; where all do, the tagger is that model's own.

    Args:
        models: `MODEL` or `MODEL@REVISION` by language, or `*` for all others.
        tokenizer_processes: as for `load_tagger`, for all models together.
        options: those of `load_tagger` that are not here by name.

    Raises:
        ModelError: as `load_tagger`; or the device has no memory for all of them.
        SettingsError, TokenizerFailed: as `load_tagger`.
    """
    wanted = find_models(models, Pins(model_sha256, required=require_pinned_model == Switch.ON))
    check_memory(
        [(one.title, one.folder) for one in wanted], find_device(wanted[0].name, device), dtype
    )
    taggers: list[Tagger] = []
    by_language: dict[str, Tagger] = {}
    for model in wanted:
        _log.info("model %s: for %s", model.folder.name, ", ".join(model.languages))
        tagger = load_tagger(
            model=model.name,
            # The commit that was found, so that what is loaded is what was checked.
            revision=model.folder.revision,
            model_sha256=model_sha256,
            device=device,
            dtype=dtype,
            **options,
        )
        taggers.append(tagger)
        by_language |= dict.fromkeys(model.languages, tagger)
    if tokenizer_processes:
        tokenize_beside(taggers, tokenizer_processes)
    if len(taggers) == 1:
        return taggers[0]
    run_beside(taggers)
    return RoutedTagger(by_language)


def find_models(models: Mapping[str, str], pins: Pins | None = None) -> list[WantedModel]:
    """Find the models that languages name, each once. Blocks, for downloads too.

    Args:
        models: see `load_taggers`.
        pins: what each must be; None is anything.

    Raises:
        ModelError: one cannot be found, or is not what `pins` say.
    """
    found: dict[tuple[str, Path], WantedModel] = {}
    for language, reference in models.items():
        try:
            name, revision = split_reference(reference)
            folder = find_model_folder(name, revision, pins or Pins())
        except ModelError as error:
            raise ModelError(f"models {language}: {error}") from error
        # By its name too: who links a folder under two names wants to tell them apart.
        key = (folder.name, folder.path.resolve())
        found.setdefault(key, WantedModel(name, folder, [])).languages.append(language)
    return list(found.values())


def split_reference(reference: str) -> tuple[str, str]:
    """Name and revision of `MODEL@REVISION`; the revision is empty where there is none. What exists
    as a folder is one, whatever its name.

    Raises:
        ModelError: the model has no revisions, or a part is missing.
    """
    name, at, revision = reference.rpartition("@")
    if not at or _is_folder(reference):
        return reference, ""
    if not name or not revision:
        raise ModelError(f"model {reference}: write MODEL@REVISION, or MODEL alone")
    if name == BUNDLED or _is_folder(name):
        kind = "ships with nerstream" if name == BUNDLED else "is a local folder"
        raise ModelError(f"model {name}: it {kind} and has no revisions; leave out @{revision}")
    return name, revision


def _is_folder(name: str) -> bool:
    # As `find_model_folder` has it.
    return Path(os.path.expanduser(name)).is_dir()  # noqa: PTH111
