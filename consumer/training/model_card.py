"""The model card of a fine-tuned checkpoint: Markdown with a YAML head, as the
Hugging Face hub reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.evaluation.conll import CorpusStatistics
from consumer.evaluation.scoring import Score, Scores
from consumer.training.chunks import CHUNK_LENGTHS
from consumer.training.progress import EpochReport
from consumer.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What there is to say about a finished run.

    Attributes:
        name: of the model, the card's title.
        base_model: the checkpoint that was fine-tuned, as given.
        command: the command line, as a person would type it.
        versions: (package, version) of what the outcome depends on.
        machine: device and threads.
        reports: one for each epoch.
        scores: of the saved float16 weights on the dev articles, in float32.
        notes: Markdown on what no run can know: licences, limits. May be empty.
    """

    name: str
    base_model: str
    command: str
    versions: tuple[tuple[str, str], ...]
    machine: str
    recipe: Recipe
    train: CorpusStatistics
    dev: CorpusStatistics
    reports: Sequence[EpochReport]
    scores: Scores
    notes: str


@dataclass(frozen=True, slots=True)
class Part:
    """One of the models that an average was made of.

    Attributes:
        how_made: what its own card says of that, Markdown. May be empty.
    """

    name: str
    how_made: str


@dataclass(frozen=True, slots=True)
class AveragedModel:
    """What there is to say about an average of checkpoints.

    Attributes:
        max_length: longest window in which it was scored, in sub-words.
        name, command, versions, dev, scores, notes: as in `TrainingRun`.
    """

    name: str
    command: str
    parts: Sequence[Part]
    max_length: int
    versions: tuple[tuple[str, str], ...]
    dev: CorpusStatistics
    scores: Scores
    notes: str


def averaged_card(model: AveragedModel) -> str:
    """The card of an average: its scores, and how each of its parts was made."""
    types = ", ".join(name for name, _ in model.scores.by_type)
    names = ", ".join(f"`{part.name}`" for part in model.parts)
    return "\n".join(
        [
            _head(None),
            f"# {model.name}",
            "",
            f"Tags named entities ({types}) in whole articles. Its weights are the mean of those "
            f"of {len(model.parts)} models that were fine-tuned from the same one: {names}. Made "
            "by `nerstream average`; weights in float16.",
            "",
            *_scores_section(model.scores, model.max_length),
            "Each of its parts is the best of its epochs on these same articles, so a fresh set "
            "of articles may score a little lower.",
            "",
            "## Data",
            "",
            *_DATA_HEAD,
            _data_row("dev", model.dev),
            "",
            *([model.notes.strip(), ""] if model.notes.strip() else []),
            "## How it was made",
            "",
            "```",
            model.command,
            "```",
            "",
            f"With {_versions(model.versions)}.",
            "",
            *[
                line
                for part in model.parts
                for line in (f"### {part.name}", "", part.how_made or "Its card does not say.", "")
            ],
        ]
    )


def model_card(run: TrainingRun) -> str:
    """The card's text. Percentages with two digits, seconds without."""
    best = max(run.reports, key=lambda report: report.scores.overall.f1)
    return "\n".join(
        [
            _head(run.base_model),
            f"# {run.name}",
            "",
            f"`{run.base_model}`, fine-tuned to tag named entities "
            f"({', '.join(name for name, _ in run.train.entities)}) in whole articles. "
            "Made by `nerstream train`; weights in float16.",
            "",
            *_scores_section(run.scores, run.recipe.max_length),
            f"The best of {len(run.reports)} epochs on these same articles (epoch {best.epoch}) "
            "is the one saved, so a fresh set of articles may score a little lower.",
            "",
            "## Data",
            "",
            *_DATA_HEAD,
            _data_row("train", run.train),
            _data_row("dev", run.dev),
            "",
            *([run.notes.strip(), ""] if run.notes.strip() else []),
            "## How it was made",
            "",
            "```",
            run.command,
            "```",
            "",
            "AdamW with a linear warm-up and decay; chunks of consecutive words, of up to "
            f"{_chunk_lengths(run.recipe.max_length)} sub-words, cut anew in each epoch; every "
            "sub-word labelled, a word's first with its own label, the others with the `I-` of "
            "its type. A word's label is read from its first sub-word.",
            "",
            f"On {run.machine}, with {_versions(run.versions)}.",
            "",
            "| epoch | loss | precision | recall | F1 | training, s |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |",
            *[_epoch_row(report) for report in run.reports],
            "",
        ]
    )


def _chunk_lengths(max_length: int) -> str:
    lengths = sorted({min(length, max_length) for length in CHUNK_LENGTHS})
    *shorter, longest = map(str, lengths)
    return f"{', '.join(shorter)} or {longest}" if shorter else longest


#: The first lines of a table of `_data_row`.
_DATA_HEAD = (
    "| split | articles | sentences | words | entities |",
    "| --- | ---: | ---: | ---: | ---: |",
)


def _head(base_model: str | None) -> str:
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: token-classification",
            *([f"base_model: {base_model}"] if base_model else []),
            "tags:",
            "- token-classification",
            "- named-entity-recognition",
            "---",
            "",
        ]
    )


def _scores_section(scores: Scores, max_length: int) -> list[str]:
    return [
        "## Scores",
        "",
        "On the dev articles: whole entities, right type and right first and last word; whole "
        f"articles as running text, windows of {max_length} sub-words; the saved weights, computed "
        "in float32.",
        "",
        "| type | precision | recall | F1 | entities |",
        "| --- | ---: | ---: | ---: | ---: |",
        *[_score_row(name, score) for name, score in scores.by_type],
        _score_row("all", scores.overall),
        "",
    ]


def _versions(versions: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions)


def _score_row(name: str, score: Score) -> str:
    return f"| {name} | {_percent(score)} | {score.gold:,} |"


def _data_row(name: str, statistics: CorpusStatistics) -> str:
    entities = ", ".join(f"{count:,} {name}" for name, count in statistics.entities)
    return (
        f"| {name} | {statistics.articles:,} | {statistics.sentences:,} "
        f"| {statistics.words:,} | {entities} |"
    )


def _epoch_row(report: EpochReport) -> str:
    return (
        f"| {report.epoch} | {report.loss:.4f} | {_percent(report.scores.overall)} "
        f"| {report.training_s:.0f} |"
    )


def _percent(score: Score) -> str:
    return f"{score.precision:.2%} | {score.recall:.2%} | {score.f1:.2%}"
