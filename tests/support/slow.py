"""Tests that `make test-fast` leaves out, and why each takes seconds of a core."""

from __future__ import annotations

from collections.abc import Mapping

_IMPORTS = "starts processes that import torch"
_BUNDLED = "tags with the bundled model"
_GROUPS = "waits for consumer groups to form"

#: A test is slow if its name begins with one of these.
SLOW: Mapping[str, str] = {
    "tests/tagging/test_instruction_sets.py::": "repeats other tests in processes of their own",
    "tests/tagging/test_foreign_model.py::": "converts a model that others trained",
    "tests/test_bad_environments.py::": _IMPORTS,
    "tests/test_signals_at_start.py::": _IMPORTS,
    "tests/bench/worker/test_command.py::": "measures a worker for a while",
    "tests/commands/demo/test_command.py::": _IMPORTS,
    "tests/test_packages.py::": "builds the packages",
    "tests/commands/tag/test_command.py::test_a_pipe_is_answered": _IMPORTS,
    "tests/commands/test_run.py::": _IMPORTS,
    "tests/docs/test_your_text.py::": _IMPORTS,
    "tests/shadow/test_loading.py::": _IMPORTS,
    "tests/tagging/engine/cuda/test_varlen_layer.py::test_the_kernels_in_triton": (
        "interprets kernels that are written for a GPU"
    ),
    "tests/tagging/model/test_bert.py::test_the_worker_starts_without": _IMPORTS,
    "tests/tagging/model/test_bert.py::test_weights_by_old_names": _BUNDLED,
    "tests/tagging/model/guard/test_hub_answers.py::": "asks hubs in processes of their own",
    "tests/tagging/model/guard/test_trial.py::": "tries expressions in processes of their own",
    "tests/tagging/model/test_loaded_model.py::test_a_cached_commit": _IMPORTS,
    "tests/tagging/model/test_loaded_model.py::test_a_hub_that_cannot_be_reached": _IMPORTS,
    "tests/tagging/model/test_loaded_model.py::test_a_model_of_the_hub": _IMPORTS,
    "tests/tagging/model/test_loaded_model.py::test_a_model_that_the_hub_does": _IMPORTS,
    "tests/tagging/test_adversarial_unicode.py::": _BUNDLED,
    "tests/telemetry/live/test_browser.py::": "drives Chromium",
    "tests/tagging/test_bundled_model.py::": _BUNDLED,
    "tests/tagging/test_hugging_face_parity.py::": "tags with transformers as well",
    "tests/tagging/test_long_articles.py::": _BUNDLED,
    "tests/tagging/test_tagger.py::test_a_long_text_is_tagged_in_bounded": "tags a book",
    "tests/integration/worker/test_as_nobody.py::": _IMPORTS,
    "tests/integration/test_sink.py::": _GROUPS,
    "tests/supervisor/test_supervisor.py::": "starts supervisors and their workers",
    "tests/integration/test_source.py::": _GROUPS,
    "tests/support/processes/test_warm_process.py::": _IMPORTS,
    "tests/tagging/tokenize/test_tokenizer_processes.py::": "starts processes that tokenise",
}


def why_slow(test: str) -> str | None:
    """The reason; None for a test that is not slow."""
    return next((why for start, why in SLOW.items() if test.startswith(start)), None)
