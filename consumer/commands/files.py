"""Files that several commands read: CoNLL corpora, and notes for a model card; how a command is
written down for others, who have them elsewhere; and what is printed of a new model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from consumer.contracts.errors import SettingsError
from consumer.evaluation.conll import ConllError, LabelledArticle, read_conll
from consumer.evaluation.scoring import Scores
from consumer.terminal import say, say_json


def read_corpus(path: Path, setting: str) -> tuple[LabelledArticle, ...]:
    """The articles of a CoNLL file.

    Args:
        setting: the argument that named the file, for errors.

    Raises:
        SettingsError: it cannot be read, or is not in the format.
    """
    try:
        return read_conll(path)
    except OSError as error:
        raise SettingsError(
            setting, f"{path} cannot be read ({error.strerror})", "name a CoNLL file"
        ) from error
    except ConllError as error:
        raise SettingsError(setting, str(error), error.remedy) from error


def read_notes(path: Path | None) -> str:
    """Markdown for a model card; empty where no file is named.

    Raises:
        SettingsError: the file cannot be read.
    """
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "--card-notes", f"cannot read {path}: {error}", "name a UTF-8 Markdown file"
        ) from error


def last_part(name: str) -> str:
    """A folder without the folders it lies in; a hub id as it is."""
    return Path(name).resolve().name if Path(name).exists() else name


def print_scores(about: Mapping[str, object], scores: Scores, as_json: bool) -> None:
    """The scores of the model in `about["output"]`: a line, or all in one JSON object."""
    overall = scores.overall
    if as_json:
        say_json({**about, **scores.as_dict()})
    else:
        say(
            f"{about['output']}: precision {overall.precision:.2%}, "
            f"recall {overall.recall:.2%}, F1 {overall.f1:.2%}"
        )
