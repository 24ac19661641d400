"""`nerstream train`: fine-tune a token-classification checkpoint on CoNLL files.

Writes a folder that `nerstream run --model` takes: config, float16 weights, fast
tokenizer and a model card. Its subfolder `training/` holds the state from which
`--resume` goes on, and the scores of each epoch; it may be deleted afterwards.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from consumer.commands.files import last_part, print_scores, read_corpus, read_notes
from consumer.commands.train.display import TrainingDisplay
from consumer.contracts.errors import SettingsError
from consumer.training.recipe import Recipe, flag

if TYPE_CHECKING:
    from consumer.training.fine_tuning import FineTuning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; those of the recipe are `Recipe`'s fields."""
    parser.add_argument(
        "--train",
        type=Path,
        required=True,
        nargs="+",
        metavar="FILE",
        help="CoNLL files to learn from",
    )
    parser.add_argument(
        "--dev",
        type=Path,
        required=True,
        metavar="FILE",
        help="CoNLL file to score each epoch on; the best epoch is the one saved",
    )
    parser.add_argument(
        "--base-model",
        required=True,
        metavar="NAME",
        help="checkpoint to start from: a hub id or a folder, with a fast tokenizer",
    )
    parser.add_argument(
        "--teachers",
        nargs="+",
        default=[],
        metavar="NAME",
        help="models to learn from beside the labels (--distillation): hub ids or folders with the "
        "sub-words and labels of this one, such as earlier runs of this command",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="where the model is written"
    )
    for option in fields(Recipe):
        help_text = option.metadata["help"]
        if option.default is False:
            parser.add_argument(flag(option), action="store_true", help=help_text)
            continue
        if option.default is not None:
            help_text += f" (default {option.default})"
        parser.add_argument(
            flag(option),
            type=int if isinstance(option.default, int) else float,
            default=option.default,
            metavar="N",
            help=help_text,
        )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: what torch chooses)"
    )
    parser.add_argument(
        "--card-notes",
        type=Path,
        metavar="FILE",
        help="Markdown for the model card: licence of the data, limits of the model",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run that was stopped in --output"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Trains, scores the saved folder, writes its card; blocks until all is done.

    Progress goes to standard error, the summary to standard output.

    Raises:
        SettingsError: an argument is wrong.
        ModelError: the checkpoint cannot be loaded, or the training diverged.
    """
    recipe = Recipe(**{option.name: getattr(arguments, option.name) for option in fields(Recipe)})
    if arguments.threads is not None and arguments.threads < 1:
        raise SettingsError("--threads", f"{arguments.threads} is out of range", "give 1 or more")
    train = tuple(article for file in arguments.train for article in read_corpus(file, "--train"))
    dev = read_corpus(arguments.dev, "--dev")
    notes = read_notes(arguments.card_notes)
    # Imported late, so that `nerstream --help` need not wait for torch.
    from consumer.training.fine_tuning import FineTuning

    with TrainingDisplay() as display:
        tuning = FineTuning(
            base_model=arguments.base_model,
            output=arguments.output,
            recipe=recipe,
            train=train,
            dev=dev,
            device=arguments.device,
            threads=arguments.threads,
            teachers=arguments.teachers,
        )
        _begin(tuning, arguments.resume)
        scores = tuning.run(display.show_progress, display.show_epoch)
        tuning.write_card(_command(arguments), notes)
    about = {"output": str(arguments.output), "epochs": recipe.epochs}
    print_scores(about, scores, arguments.json)
    return 0


def _begin(tuning: FineTuning, resume: bool) -> None:
    if not resume:
        if tuning.state_path.exists():
            raise SettingsError(
                "--output",
                f"{tuning.state_path} is the state of a run",
                "add --resume to go on with it, or name another folder",
            )
        return
    try:
        tuning.resume()
    except FileNotFoundError as error:
        raise SettingsError(
            "--resume", f"{error.filename} is missing", "leave --resume out to begin"
        ) from error
    except ValueError as error:
        raise SettingsError(
            "--resume", f"the run was {error}", "give the same options again"
        ) from error


def _command(arguments: argparse.Namespace) -> str:
    """The command line as others may repeat it: files without their folders."""
    parts = [
        f"--base-model {shlex.quote(arguments.base_model)}",
        f"--train {' '.join(shlex.quote(file.name) for file in arguments.train)}",
        f"--dev {shlex.quote(arguments.dev.name)}",
        *(
            [f"--teachers {' '.join(shlex.quote(last_part(name)) for name in arguments.teachers)}"]
            if arguments.teachers
            else []
        ),
        f"--output {shlex.quote(arguments.output.name)}",
    ]
    for option in fields(Recipe):
        value = getattr(arguments, option.name)
        if value is True:
            parts.append(flag(option))
        elif value != option.default:
            parts.append(f"{flag(option)} {value}")
    return " \\\n    ".join(["nerstream train", *parts])
