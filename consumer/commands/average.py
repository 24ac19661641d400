"""`nerstream average`: one model whose weights are the mean of several fine-tuned ones'.

It costs what one of them costs, and is better than each where all were fine-tuned from the same
checkpoint. Writes a folder that `nerstream run --model` takes: config, float16 weights, fast
tokenizer and a model card with its scores.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from consumer.commands.files import last_part, print_scores, read_corpus, read_notes
from consumer.contracts.errors import SettingsError
from consumer.terminal import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The models, the file to score on, and the folder."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="two or more hub ids or folders with the same sub-words and labels, fine-tuned from "
        "the same checkpoint",
    )
    parser.add_argument(
        "--dev", type=Path, required=True, metavar="FILE", help="CoNLL file to score the mean on"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="where the model is written"
    )
    parser.add_argument(
        "--max-length",
        type=int,
        default=512,
        metavar="N",
        help="longest scoring window, in sub-words with special tokens; what the tokenizer calls "
        "the model's limit (default 512)",
    )
    parser.add_argument(
        "--card-notes",
        type=Path,
        metavar="FILE",
        help="Markdown for the model card: licence of the data, limits of the model",
    )
    parser.add_argument("--json", action="store_true", help="print the scores as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Averages, scores the saved folder, writes its card; blocks until all is done.

    What it does goes to standard error, the scores to standard output.

    Raises:
        SettingsError: an argument is wrong.
        ModelError: a model cannot be loaded, or they are not of one kind.
    """
    _check(arguments)
    dev = read_corpus(arguments.dev, "--dev")
    notes = read_notes(arguments.card_notes)
    tell(f"averaging {len(arguments.models)} models")
    # Imported late, so that `nerstream --help` need not wait for torch.
    from consumer.training.averaging import average, score_and_describe

    average(arguments.models, arguments.output, arguments.max_length)
    tell(f"scoring the mean on {len(dev):,} articles")
    scores = score_and_describe(
        arguments.models,
        arguments.output,
        dev,
        arguments.max_length,
        _command(arguments),
        notes,
    )
    print_scores({"output": str(arguments.output)}, scores, arguments.json)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if len(arguments.models) < 2:
        raise SettingsError("MODEL", "one model has no mean with others", "name two or more")
    if arguments.max_length < 8:
        raise SettingsError(
            "--max-length", f"{arguments.max_length} is out of range", "give 8 or more"
        )
    output = arguments.output.resolve()
    if any(Path(name).resolve() == output for name in arguments.models):
        raise SettingsError(
            "--output", f"{arguments.output} is one of the models", "name another folder"
        )


def _command(arguments: argparse.Namespace) -> str:
    """The command line as others may repeat it: files without their folders."""
    models = " ".join(shlex.quote(last_part(name)) for name in arguments.models)
    return " \\\n    ".join(
        [
            f"nerstream average {models}",
            f"--dev {shlex.quote(arguments.dev.name)}",
            f"--output {shlex.quote(arguments.output.name)}",
            f"--max-length {arguments.max_length}",
        ]
    )
