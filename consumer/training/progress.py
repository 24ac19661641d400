"""What a fine-tuning run tells while it goes, and the file of its epochs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consumer.evaluation.scoring import Score, Scores


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch did: mean loss a batch, dev scores, wall-clock seconds."""

    epoch: int
    loss: float
    scores: Scores
    training_s: float
    scoring_s: float
    is_best: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the run stands within an epoch; ``loss`` is of the latest batch."""

    epoch: int
    batch: int
    batches: int
    loss: float


def append_report(path: Path, report: EpochReport) -> None:
    """Adds one epoch to a file of JSON lines."""
    line = {
        "epoch": report.epoch,
        "loss": report.loss,
        "training_s": report.training_s,
        "scoring_s": report.scoring_s,
        "is_best": report.is_best,
        **report.scores.as_dict(),
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_reports(path: Path, finished_epochs: int) -> list[EpochReport]:
    """The first ``finished_epochs`` epochs of the file; a run that was stopped
    between writing an epoch here and its state trains that epoch again.

    Raises:
        FileNotFoundError: there is no such file.
    """
    reports = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        if fields["epoch"] <= finished_epochs:
            reports[fields["epoch"]] = EpochReport(
                epoch=fields["epoch"],
                loss=fields["loss"],
                scores=Scores(
                    overall=_score(fields["overall"]),
                    by_type=tuple((name, _score(s)) for name, s in fields["by_type"].items()),
                ),
                training_s=fields["training_s"],
                scoring_s=fields["scoring_s"],
                is_best=fields["is_best"],
            )
    return [reports[epoch] for epoch in sorted(reports)]


def _score(fields: dict[str, Any]) -> Score:
    return Score(fields["correct"], fields["predicted"], fields["gold"])
