"""How close the engine comes to a GPU's limits: `python -m consumer.bench.gpu.model --json FILE`.

Ends within eight minutes, with what was measured until then. Needs a CUDA device to itself, and no
network: of BERT-base it takes the geometry, with random weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from consumer.bench.deadline import Deadline
from consumer.bench.gpu import ground as gpu_ground
from consumer.bench.gpu import rates as gpu_rates
from consumer.bench.model.random_model import save_random_model
from consumer.tagging.engine.cuda.device import CudaDevice
from consumer.tagging.engine.cuda.engine import CudaOptions, make_cuda_engine
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from consumer.tagging.tagger import Tagger, TaggingOptions
from consumer.terminal import say, tell

#: No measurement begins later; the longest takes ten seconds (the pipeline).
LAST_BEGIN_S = 380

#: How long each rate is measured after its warm-up.
RATE_S = 2.5

TEXTS = 2_048
PASS_TOKENS = 16_384
OTHER_PASS_TOKENS = (2_048, 4_096, 8_192, 32_768, 65_536)
PIPELINE_BATCH_SIZES = (32, 128, 256)
PIPELINE_TEXTS = 256

#: Name of a form in the results -> its options; the first is the worker's.
FORMS = {
    "fused, in Triton": CudaOptions(),
    "fused, torch's kernels": CudaOptions(triton=False),
    "modules, in Triton": CudaOptions(fused=False),
    "modules, torch's kernels": CudaOptions(fused=False, triton=False),
    "fused, in Triton, no graphs": CudaOptions(graphs=False),
}

#: Those of a model that is not measured whole.
MAIN_FORMS = ("fused, in Triton", "fused, torch's kernels", "modules, torch's kernels")


def form_of(
    model: LoadedModel, options: CudaOptions, passes: gpu_rates.Passes, operations: float
) -> dict[str, Any]:
    """The rate of one form, and the memory that it takes."""
    torch.cuda.reset_peak_memory_stats()
    engine = make_cuda_engine(model, False, options)
    if engine is None:
        return {"error": "the model does not run in this form"}
    begin = time.perf_counter()
    for windows in passes:
        engine.run(windows)
    first_s = time.perf_counter() - begin
    rate = gpu_rates.engine_rate(engine, passes, RATE_S, time.perf_counter)
    tokens = sum(len(window) for windows in passes for window in windows)
    assert isinstance(engine.device, CudaDevice)
    return {
        "tokens_per_s": rate,
        "operations_per_s": rate * operations / tokens,
        "first_round_s": first_s,
        "graphs": engine.device.graphs,
        "graph_bytes": engine.device.pool_bytes(),
        "peak_bytes": torch.cuda.max_memory_reserved(),
    }


def rate_of(result: Any) -> float:
    """Tokens a second of what `form_of` returned, 0 where there are none."""
    return float(result.get("tokens_per_s", 0.0)) if isinstance(result, dict) else 0.0


def measure_model(
    name: str,
    folder: Path,
    deadline: Deadline,
    matrix: float,
    matrix_at_first: float,
    whole: bool,
) -> dict[str, Any]:
    """What is measured of one model.

    Args:
        matrix: floating-point operations a second of the device's matmuls, kept up.
        matrix_at_first: the same before the device lowers its clock, see `matrix_rate`.
        whole: every form and size, and not just those that matter most.
    """
    model = _load(folder)
    bodies = gpu_ground.texts(TEXTS)
    windows = gpu_ground.windows(model, bodies)
    operations = gpu_ground.arithmetic(model.network.config).operations(windows)
    forms: dict[str, Any] = {}
    # Before the others: the peer must not fall victim to the deadline.
    few = bodies[:PIPELINE_TEXTS]
    few_tokens = sum(len(window) for window in windows[:PIPELINE_TEXTS])
    pipeline = deadline.measure(
        f"{name}: the pipeline of transformers, fp16",
        lambda: gpu_rates.pipeline_rate(
            folder, few, few_tokens, PIPELINE_BATCH_SIZES, RATE_S, time.perf_counter
        ),
    )

    def run(options: CudaOptions, pass_tokens: int) -> dict[str, Any]:
        # An engine may change its model.
        return form_of(_load(folder), options, gpu_ground.passes(windows, pass_tokens), operations)

    for form in FORMS if whole else MAIN_FORMS:
        forms[form] = deadline.measure(f"{name}: {form}", partial(run, FORMS[form], PASS_TOKENS))
    best = max(forms, key=lambda form: rate_of(forms[form]))
    sizes = {
        size: deadline.measure(f"{name}: {best}, {size} tokens", partial(run, FORMS[best], size))
        for size in (OTHER_PASS_TOKENS if whole else OTHER_PASS_TOKENS[-1:])
    }
    tagged = deadline.measure(f"{name}: the tagger", lambda: _tagger(_load(folder), bodies))
    rate = rate_of(forms[best])
    tokens = sum(map(len, windows))
    operations_per_s = rate * operations / tokens
    peer = max(pipeline.values()) if isinstance(pipeline, dict) and "error" not in pipeline else 0.0
    return {
        "operations_per_token": operations / tokens,
        "mean_tokens": tokens / len(windows),
        "forms": forms,
        "best_form": best,
        "pass_tokens": sizes,
        "tagger": tagged,
        "pipeline_tokens_per_s": pipeline,
        "share_of_matrix_rate": operations_per_s / matrix,
        "share_of_matrix_rate_at_first": operations_per_s / matrix_at_first,
        "ratio_to_pipeline": rate / peer if peer else None,
    }


def _load(folder: Path) -> LoadedModel:
    return load_model(str(folder), "", "cuda", "bfloat16", 0)


def _tagger(model: LoadedModel, bodies: Sequence[str]) -> dict[str, float]:
    tagger = Tagger(model, TaggingOptions(batch_tokens=PASS_TOKENS))
    tagging, whole = gpu_rates.tagger_rate(
        tagger, gpu_ground.articles(bodies), 60, RATE_S, time.perf_counter
    )
    return {"tag_tokens_per_s": tagging, "encode_and_tag_tokens_per_s": whole}


def table(results: dict[str, Any]) -> str:
    """The results for a person."""
    lines = [
        f"{results['device']}, torch {results['torch']}: "
        f"{results['matrix_operations_per_s'] / 1e12:,.0f} TFLOP/s (bf16, 8192 x 8192 x 8192), "
        f"{results['matrix_operations_per_s_at_first'] / 1e12:,.0f} at first"
    ]
    for name, model in results["models"].items():
        lines.append(f"\n{name}, {model['mean_tokens']:.0f} tokens an article")
        for form, result in [*model["forms"].items(), *model["pass_tokens"].items()]:
            label = form if form in model["forms"] else f"{model['best_form']}, {form} tokens"
            if not rate_of(result):
                why = "no time was left" if result is None else result["error"]
                lines.append(f"  {label:32} {why}")
                continue
            share = result["operations_per_s"] / results["matrix_operations_per_s"]
            memory = result["peak_bytes"] / 2**30
            lines.append(
                f"  {label:32} {rate_of(result):>12,.0f} tokens/s {share:>6.1%} of the matrix rate "
                f"{memory:>6.1f} GiB"
            )
        for label, values in (
            ("tagger", model["tagger"]),
            ("pipeline, batch size", model["pipeline_tokens_per_s"]),
        ):
            if values is None:
                lines.append(f"  {label:32} no time was left")
                continue
            for key, value in values.items():
                shown = f"{value:>12,.0f} tokens/s" if isinstance(value, float) else value
                lines.append(f"  {f'{label} {key}':32} {shown}")
        if model["ratio_to_pipeline"]:
            lines.append(f"  {model['ratio_to_pipeline']:.1f} times the pipeline at its best")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 2 where there is no CUDA device."""
    parser = argparse.ArgumentParser(prog="python -m consumer.bench.gpu.model", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument(
        "--seconds",
        type=float,
        default=LAST_BEGIN_S,
        metavar="N",
        help="begin no measurement later [default: %(default)s]",
    )
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        tell("consumer.bench.gpu.model: torch finds no CUDA device here")
        return 2
    deadline = Deadline(time.monotonic, options.seconds)
    matrix_at_first, matrix = gpu_rates.matrix_rate(RATE_S)
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "transformers": transformers.__version__,
        "matrix_operations_per_s": matrix,
        "matrix_operations_per_s_at_first": matrix_at_first,
        "options": {name: asdict(options) for name, options in FORMS.items()},
        "models": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        save_random_model(Path(scratch))
        folders = {
            "BERT-base geometry, random weights": Path(scratch),
            "bundled": find_model_folder("bundled", "").path,
        }
        for name, folder in folders.items():
            results["models"][name] = measure_model(
                name, folder, deadline, matrix, matrix_at_first, whole=name != "bundled"
            )
    results["left_out"] = deadline.left_out
    for line in table(results).split("\n"):
        say(line)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
