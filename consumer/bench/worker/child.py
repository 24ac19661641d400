"""A process of the benchmark: the worker, or its tagger alone. Settings come as JSON.

`python -m consumer.bench.worker.child worker KIND` works until SIGTERM;
`... alone KIND FILE SECONDS` prints one JSON object. Processes of their own, so that memory,
processor time and the interpreter lock are the worker's and not those of the load on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from consumer.app import load_tagger, serve
from consumer.bench.worker.alone import measure_model, measure_tokenizer, prepared_batches
from consumer.bench.worker.taggers import NullTagger, TaggerKind, TokenizerTagger
from consumer.contracts.errors import NerstreamError
from consumer.contracts.ports import Tagger
from consumer.loading import tagger_from
from consumer.settings.schema import Settings
from consumer.signals import EndSignals
from consumer.telemetry.logs import configure_logging
from consumer.telemetry.metrics import Metrics
from consumer.terminal import say_json, tell_failure


def main(arguments: Sequence[str]) -> int:
    """The exit code: that of the worker."""
    role, kind_name, *rest = arguments
    kind = TaggerKind(kind_name)
    settings = Settings.model_validate_json(sys.stdin.buffer.read())
    configure_logging(settings.log_format, settings.log_level)
    try:
        if role == "alone":
            say_json(_alone(settings, kind, Path(rest[0]), float(rest[1])))
            return 0
        with EndSignals() as signals:
            return serve(settings, signals, _loader(kind))
    except NerstreamError as failure:
        tell_failure(failure)
        return failure.exit_code


def _alone(settings: Settings, kind: TaggerKind, path: Path, seconds: float) -> dict[str, float]:
    tagger = tagger_from(settings)
    values = path.read_bytes().splitlines()
    if kind is TaggerKind.TOKENIZER:
        at_once = TokenizerTagger(tagger).encodings_at_once
        return measure_tokenizer(settings, tagger, values, seconds, at_once)
    return measure_model(tagger, prepared_batches(settings, tagger, values), seconds)


def _loader(kind: TaggerKind) -> Callable[[Settings, Metrics], Tagger]:
    """What `serve` loads the tagger with."""

    def load(settings: Settings, metrics: Metrics) -> Tagger:
        if kind is TaggerKind.NULL:
            tagger = NullTagger()
            metrics.models_loaded(tagger.models)
            return tagger
        real = load_tagger(settings, metrics)
        return real if kind is TaggerKind.MODEL else TokenizerTagger(real)

    return load


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
