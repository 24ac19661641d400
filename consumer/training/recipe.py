"""The hyper-parameters of a fine-tuning run."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any

from consumer.contracts.errors import SettingsError


def _option(default: Any, low: float, high: float, help_text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": help_text})


@dataclass(frozen=True, slots=True)
class Recipe:
    """Each field is an option of `nerstream train`, and checks itself.

    The defaults are those of BERT (Devlin et al. 2019): learning rate, epochs,
    batch and dropout from appendix A.3, decay from A.2, where a batch of 16 is
    given here as 16 chunks of 128 sub-words; warm-up and gradient norm are those
    of its published code. What BERT did not have is off.

    Raises:
        SettingsError: a value is out of its range.
    """

    epochs: int = _option(4, 1, 1000, "passes over the training articles")
    learning_rate: float = _option(5e-5, 1e-8, 1.0, "peak of the learning rate")
    warmup_ratio: float = _option(
        0.1, 0.0, 0.9, "share of the run in which the rate rises; it falls linearly to 0 after"
    )
    batch_tokens: int = _option(2048, 1, 1 << 20, "sub-words in a batch, padding included")
    weight_decay: float = _option(0.01, 0.0, 1.0, "AdamW's, on weight matrices only")
    max_gradient_norm: float = _option(1.0, 1e-3, 1e3, "longer gradients are shortened to this")
    dropout: float | None = _option(
        None, 0.0, 0.9, "of the hidden layers; left out: the checkpoint's own"
    )
    attention_dropout: float | None = _option(
        None,
        0.0,
        0.9,
        "of the attention; left out: the checkpoint's own. 0 lets torch take its fused "
        "attention, a quarter faster on a CPU",
    )
    ema_decay: float = _option(
        0.0,
        0.0,
        0.99999,
        "decay a step of the moving average of the weights, which is what is scored and "
        "saved; 0: no average",
    )
    mention_replacement: float = _option(
        0.0,
        0.0,
        1.0,
        "share of an article's distinct entities exchanged for others of their type, drawn "
        "anew in each epoch (Dai & Adel 2020)",
    )
    masked_words: float = _option(
        0.0, 0.0, 0.9, "share of the words whose sub-words are hidden behind mask tokens"
    )
    joined_articles: float = _option(
        0.0,
        0.0,
        1.0,
        "share of the articles that others follow in the same text, so that an article may begin "
        "anywhere in a window",
    )
    recased_chunks: float = _option(
        0.0,
        0.0,
        1.0,
        "share of the chunks written in capitals, in title case or without capitals; needs "
        "--case-marks",
    )
    distillation: float = _option(
        0.5, 0.0, 1.0, "share of the loss that is the --teachers' probabilities instead of labels"
    )
    max_length: int = _option(
        512, 8, 1 << 16, "longest chunk and scoring window, in sub-words with special tokens"
    )
    seed: int = _option(1, 0, 2**63 - 1, "of every draw in the run")
    bfloat16: bool = field(
        default=False,
        metadata={"help": "compute matmuls in bfloat16; the weights stay float32"},
    )

    case_marks: bool = field(
        default=False,
        metadata={
            "help": "give an uncased WordPiece checkpoint its case: its tokenizer marks words "
            "with capitals"
        },
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if value is None or "low" not in option.metadata:
                continue
            low, high = option.metadata["low"], option.metadata["high"]
            # Written so that not-a-number fails too.
            if not low <= value <= high:
                raise SettingsError(
                    flag(option), f"{value} is out of range", f"give a number from {low} to {high}"
                )

    def learning_rate_at(self, progress: float) -> float:
        """The rate after the share ``progress`` (0 to 1) of the run: up, then down."""
        if progress < self.warmup_ratio:
            return self.learning_rate * progress / self.warmup_ratio
        return self.learning_rate * (1 - progress) / (1 - self.warmup_ratio)


def flag(option: Field[Any]) -> str:
    """The command-line flag of a field of `Recipe`."""
    return "--" + option.name.replace("_", "-")
