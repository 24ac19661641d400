"""A folder without weights that can be read: what it holds instead, and where a model may be."""

from __future__ import annotations

from pathlib import Path

from consumer.tagging.model.guard.folder_files import pickled_in

_CONFIG = "config.json"

#: Weights of other runtimes, by patterns of their files. transformers reads none of these.
_RUNTIMES = (
    ("ONNX", ("*.onnx", "onnx/*.onnx")),
    ("GGUF", ("*.gguf",)),
    ("OpenVINO", ("openvino_model.*", "openvino/*.xml")),
    ("TensorFlow", ("*.h5", "*.tflite", "saved_model.pb")),
    ("Flax", ("*.msgpack",)),
    ("Core ML", ("*.mlmodel", "*.mlpackage", "coreml/*")),
    ("rust-bert", ("*.ot",)),
)

#: Folders of other programs, by a file that only they have.
_PROGRAMS = (
    ("gliner_config.json", "a model of GLiNER"),
    ("meta.json", "a pipeline of spaCy"),
    ("modules.json", "a model of sentence-transformers, which tags nothing"),
    ("training.log", "a model of Flair"),
    ("final-model.pt", "a model of Flair"),
    ("best-model.pt", "a model of Flair"),
)

#: Folders below this one that are looked into for a model; those of a Trainer's checkpoints, or of
#: the hub's cache, lie no deeper.
_BELOW = ("*", "snapshots/*")
_SHOWN = 3

_NO_SAFETENSORS = (
    "has no weights as safetensors (*.safetensors){}, and no others are loaded, since unpickling "
    "can run code; save it once as such, where you trust it: "
    "transformers.AutoModelForTokenClassification.from_pretrained(MODEL).save_pretrained(FOLDER)"
)

_TAKE = "choose a model that is there as safetensors, or fine-tune one with nerstream train"


def no_weights_on_hub(name: str) -> str:
    """What to say of a repository without safetensors, of which nothing else was downloaded."""
    return f"model {name}: its repository {_NO_SAFETENSORS.format('')}, or choose another model"


def no_weights(name: str, folder: Path) -> str:
    """What to say of a folder without safetensors.

    Args:
        name: the model, as it was asked for.
        folder: where it lies.
    """
    below = sorted(
        path
        for pattern in _BELOW
        for path in folder.glob(pattern)
        if (path / _CONFIG).is_file() and any(path.glob("*.safetensors"))
    )
    if below:
        shown = ", ".join(str(path) for path in below[-_SHOWN:])
        others = "" if len(below) <= _SHOWN else f" and {len(below) - _SHOWN} others"
        one = "a model lies" if len(below) == 1 else "models lie"
        which = "name that folder" if len(below) == 1 else "name one of these folders"
        return (
            f"model {name}: it holds no weights itself, {one} below it ({shown}{others}); {which}"
        )
    for file, what in _PROGRAMS:
        if (folder / file).is_file() and not (folder / _CONFIG).is_file():
            return f"model {name}: it is {what}, which only that runs; {_TAKE}"
    pickled = pickled_in(folder)
    has = [
        path for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern)
    ]
    for runtime, patterns in _RUNTIMES:
        found = sorted(path for pattern in patterns for path in folder.glob(pattern))
        if found and set(has) <= set(found):
            return (
                f"model {name}: it has weights for {runtime} alone "
                f"({found[0].relative_to(folder)}), and only safetensors are read; name the model "
                f"that it was made from, or {_TAKE}"
            )
    if pickled:
        but = f" but {', '.join(pickled)}"
        return f"model {name}: it {_NO_SAFETENSORS.format(but)}"
    if not any(folder.iterdir()):
        return f"model {name}: the folder is empty; name one that save_pretrained has written"
    return (
        f"model {name}: it has no weights (*.safetensors); copy or download them, or name the "
        "folder that save_pretrained has written"
    )
