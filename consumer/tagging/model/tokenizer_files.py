"""From the files of a model's folder to its tokenizer: which ones its family needs, and how they
are to be read.

Where one is missing the library makes a tokenizer that knows nothing and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import (
    TOKENIZER_MAPPING_NAMES,
    tokenizer_class_from_name,
)

from consumer.contracts.errors import ModelError, first_line
from consumer.tagging.model.config import TOKENIZER_CONFIG
from consumer.tagging.model.files import json_kind, read_bytes, read_json
from consumer.tagging.model.folder import BUNDLED_FOLDER
from consumer.tagging.model.guard.checksum import sha256_of
from consumer.tagging.model.guard.panics import is_failure
from consumer.tagging.model.guard.tokenizer import check_tokenizer, has_expressions
from consumer.tagging.model.guard.trial import try_expressions
from consumer.tagging.model.guard.unreadable import why_unreadable
from consumer.tagging.model.tokenizer_check import CASED_SHARE
from consumer.tagging.model.tokenizer_document import AS_IT_IS, CLASS_KEY, as_document_says

#: The one file that holds a whole tokenizer.
TOKENIZER = "tokenizer.json"

#: JSON files beside it, read by the library where they are there.
_ADDED = "added_tokens.json"
_BESIDE = ("special_tokens_map.json", _ADDED)

#: Files that a tokenizer may be made from, to name those that are there.
_SOURCES = ("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "*.model")


def load_tokenizer(
    name: str,
    folder: Path,
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    read: Any = None,
) -> Any:
    """The fast tokenizer of a model.

    Args:
        name: the model, for errors.
        folder: where it lies.
        config, tokenizer_config: what its two configurations say.
        read: transformers' configuration of the model; None has it read once more.

    Raises:
        ModelError: it has none, or a file that it is made from is missing or not what it should be.
    """
    document = _document(name, folder)
    options = _options(name, folder, config, tokenizer_config, document)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, config=read, trust_remote_code=False, local_files_only=True, **options
        )
    except BaseException as error:  # what it raises depends on the tokenizer's class
        if not is_failure(error):
            raise
        why = _why_not_made(folder, config, tokenizer_config, document, first_line(error))
        raise ModelError(f"model {name}: {why}") from error
    if not tokenizer.is_fast:
        if document is not None:
            kind = type(tokenizer).__name__
            raise ModelError(
                f"model {name}: {_not_by_class(kind, 'it is a slow one, without exact offsets')}"
            )
        raise ModelError(
            f"model {name}: it has no fast tokenizer, which exact offsets need (only a slow one, "
            f"{type(tokenizer).__name__}); add a {TOKENIZER} to it"
        )
    if document is None:
        return tokenizer
    return as_document_says(name, tokenizer, document, tokenizer_config)


def _why_not_made(
    folder: Path,
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    document: Mapping[str, Any] | None,
    reason: str,
) -> str:
    """What is to blame that the library could make no tokenizer: the document, an object of the
    configuration, or the class. To follow the model's name.

    Args:
        reason: what the library said.
    """
    belongs = f"put a {TOKENIZER} that belongs to the model beside its weights"
    if document is None:
        return f"its tokenizer cannot be made from {_shown(folder)} ({reason}); {belongs}"
    if (unreadable := why_unreadable(TOKENIZER, document)) is not None:
        return unreadable
    for role, token in tokenizer_config.items():
        if role.endswith("_token") and isinstance(token, dict) and "__type" not in token:
            return (
                f'{role} in its {TOKENIZER_CONFIG} is an object without "__type": "AddedToken"; '
                "add that to it, or write the token's text alone"
            )
    if (contradicts := _contradiction(document, tokenizer_config)) is not None:
        return contradicts
    kind, _ = _needed_files(config, tokenizer_config)
    if kind and _is_made_as_it_is(folder):
        return _not_by_class(kind, reason)
    return (
        f"its tokenizer cannot be made from {TOKENIZER} and {TOKENIZER_CONFIG} ({reason}); copy or "
        f"download both again, or {belongs}"
    )


def _is_made_as_it_is(folder: Path) -> bool:
    try:
        PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except BaseException as error:  # what it raises depends on the files
        if not is_failure(error):
            raise
        return False
    return True


def _not_by_class(kind: str, reason: str) -> str:
    return (
        f"the class of its tokenizer, {kind} ({CLASS_KEY}), cannot be used here ({reason}); write "
        f'"{CLASS_KEY}": "{AS_IT_IS}" in its {TOKENIZER_CONFIG}, which reads {TOKENIZER} as it is'
    )


def _contradiction(document: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> str | None:
    """What to say where the class that the configuration names makes its pieces in another way than
    the tokenizer's own document; None where it does not, as far as known."""
    kind = tokenizer_config.get(CLASS_KEY)
    usual = getattr(tokenizer_class_from_name(kind), "model", None) if kind else None
    model = document.get("model")
    has = model.get("type") if isinstance(model, dict) else None
    if usual is None or not isinstance(has, str) or has == usual.__name__:
        return None
    return (
        f"its {TOKENIZER_CONFIG} names the class {kind}, which makes pieces by "
        f"{usual.__name__}, and its {TOKENIZER} makes them by {has[:40]}; put both files of the "
        "same tokenizer beside the weights, or write PreTrainedTokenizerFast as tokenizer_class"
    )


def tokenizer_options(
    name: str, folder: Path, config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]
) -> dict[str, Any]:
    """What the library must be told beside the files, which are there and what they should be.

    Args:
        name: the model, for errors.
        folder: where it lies.
        config, tokenizer_config: what its two configurations say.

    Raises:
        ModelError: a file is missing or not what it should be.
    """
    return _options(name, folder, config, tokenizer_config, _document(name, folder))


def _document(name: str, folder: Path) -> Mapping[str, Any] | None:
    return read_json(name, folder / TOKENIZER) if (folder / TOKENIZER).exists() else None


def _options(
    name: str,
    folder: Path,
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    document: Mapping[str, Any] | None,
) -> dict[str, Any]:
    _check_roles(name, TOKENIZER_CONFIG, tokenizer_config)
    for file in _BESIDE:
        if (folder / file).exists():
            beside = read_json(name, folder / file)
            _check_roles(name, file, beside)
            if file == _ADDED:
                _check_added(name, beside)
    if document is not None:
        check_tokenizer(name, TOKENIZER, document)
        if has_expressions(document) and not _is_ours(name, folder / TOKENIZER):
            try_expressions(name, folder / TOKENIZER)
        options = _case_of_document(document)
    else:
        options = _check_files(name, folder, config, tokenizer_config)
    # What a person has written wins over what the files look like.
    return {key: value for key, value in options.items() if key not in tokenizer_config}


def _is_ours(name: str, file: Path) -> bool:
    """Whether it is the tokenizer that ships with nerstream. Its expressions were tried before the
    release, so a start does not try them again."""
    ours = BUNDLED_FOLDER / TOKENIZER
    return ours.is_file() and sha256_of(name, ours) == sha256_of(name, file)


def own_vocabulary(folder: Path) -> frozenset[str] | None:
    """Every piece of a tokenizer's own document, added ones too; None where there is none, or it is
    of a form that is not known here."""
    if not (folder / TOKENIZER).exists():
        return None
    document = read_json(folder.name, folder / TOKENIZER)
    model, added = document.get("model"), document.get("added_tokens") or []
    pieces = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(pieces, list):  # pairs of a piece and its score
        pieces = [one[0] for one in pieces if isinstance(one, list) and one]
    if not isinstance(pieces, (dict, list)) or not isinstance(added, list):
        return None
    contents = [one.get("content") for one in added if isinstance(one, dict)]
    return frozenset(one for one in (*pieces, *contents) if isinstance(one, str))


def _check_roles(name: str, file: str, said: Mapping[str, Any]) -> None:
    """Refuse a special token without a text, which the library looks for until it gives up."""
    for role, token in said.items():
        content = token.get("content") if isinstance(token, dict) else token
        if role.endswith("_token") and content == "":
            raise ModelError(
                f"model {name}: {role} in its {file} is an empty text; write the token that the "
                "tokenizer has for it, or null"
            )


def _check_added(name: str, said: Mapping[str, Any]) -> None:
    """Refuse tokens without a number, of which the library says nothing that helps."""
    for token, number in said.items():
        if type(number) is not int or number < 0:
            raise ModelError(
                f"model {name}: its {_ADDED} gives the token {token[:40]!r} {json_kind(number)} "
                "for a number; copy or download it again, or remove it"
            )


def _check_files(
    name: str, folder: Path, config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]
) -> dict[str, Any]:
    """Refuse a folder that lacks a file which the family's tokenizer is made from. What comes back
    is what the tokenizer must be told beside its files."""
    kind, needed = _needed_files(config, tokenizer_config)
    missing = [file for file in needed if not (folder / file).exists()]
    models = sorted(path.name for path in folder.glob("*.model"))
    for file in (*models, *needed):
        if file not in missing:
            read_bytes(name, folder / file)
    if models and needed and needed[0].endswith(".model"):
        rename = f"rename it to {missing[0]} and " if missing else ""
        raise ModelError(
            f"model {name}: its tokenizer is there as {models[0]} alone, which takes libraries "
            f"that nerstream does without; {rename}write a {TOKENIZER} beside it once, where "
            "sentencepiece and protobuf are installed: "
            "transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    if missing or not needed:
        family = str(config.get("model_type"))
        wanted = f"{TOKENIZER} or {' and '.join(needed)}" if needed else TOKENIZER
        raise ModelError(
            f"model {name}: it has no fast tokenizer, which exact offsets need: that of the family "
            f"{family}{f' ({kind})' if kind else ''} is read from {wanted}, and it has "
            f"{_shown(folder)}; add what belongs to the model"
        )
    if "merges.txt" in needed:
        _check_merges(name, folder)
    if needed == ["vocab.txt"]:
        return {"do_lower_case": not _is_cased(folder / "vocab.txt", name)}
    return {}


def _needed_files(
    config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]
) -> tuple[str, list[str]]:
    """The tokenizer's class, as the library chooses it, and what it is made from."""
    kind = (
        tokenizer_config.get("tokenizer_class")
        or config.get("tokenizer_class")
        or TOKENIZER_MAPPING_NAMES.get(str(config.get("model_type")))
    )
    if not isinstance(kind, str):
        return "", []
    found: Any = tokenizer_class_from_name(kind)
    if found is None or not issubclass(found, PreTrainedTokenizerFast):
        return kind, []
    if found is PreTrainedTokenizerFast:
        return "", []
    return kind, [
        file
        for role, file in found.vocab_files_names.items()
        if role not in ("tokenizer_file", "tokenizer_config_file") and isinstance(file, str)
    ]


def is_of_family(tokenizer: Tokenizer, config: Mapping[str, Any]) -> bool:
    """Whether a tokenizer makes its pieces as that of the model's family does, as far as known."""
    kind = TOKENIZER_MAPPING_NAMES.get(str(config.get("model_type")))
    usual = getattr(tokenizer_class_from_name(kind), "model", None) if kind else None
    return usual is None or isinstance(tokenizer.model, usual)


def _check_merges(name: str, folder: Path) -> None:
    merges = read_bytes(name, folder / "merges.txt").splitlines()
    if any(line.strip() and not line.startswith(b"#version") for line in merges):
        return
    pieces = read_json(name, folder / "vocab.json")
    if any(len(piece) > 1 and piece.isalpha() for piece in pieces):
        raise ModelError(
            f"model {name}: its merges.txt has no merges, so that every word falls into letters; "
            "copy or download it again"
        )


def _is_cased(vocabulary: Path, name: str) -> bool:
    """Whether the pieces of a vocabulary, one a line, have capitals."""
    text = read_bytes(name, vocabulary).decode("utf-8", errors="replace")
    pieces = [piece for piece in text.splitlines() if not piece.startswith("[")]
    capitals = sum(piece != piece.lower() for piece in pieces)
    return capitals > CASED_SHARE * len(pieces)


def _case_of_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a tokenizer's own document says of case and accents. The library makes a BERT's
    tokenizer anew from its vocabulary, by its own defaults where the configuration is silent."""
    normalizer = document.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return {}
    return {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
    }


def _shown(folder: Path) -> str:
    found = [TOKENIZER] if (folder / TOKENIZER).exists() else []
    found += sorted(path.name for pattern in _SOURCES for path in folder.glob(pattern))
    found += [TOKENIZER_CONFIG] if (folder / TOKENIZER_CONFIG).exists() and not found else []
    return " and ".join(found) or "no tokenizer files"
