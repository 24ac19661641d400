"""What must become of a message, worked out apart from the worker's own code.

It reads JSON with the standard library and the rules from the schemas, where the worker has a
parser of its own; what it takes from the worker is the names of the codes and the light tagger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import TextField
from tests.faults.workers.light_tagger import NOT_A_NUMBER, entities_of

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"

TEXT_FIELDS = ("title", "body")

_MAX_DEPTH = 128
_ARTICLE = jsonschema_rs.validator_for(json.loads((SCHEMAS / "article.v1.json").read_text()))
_TAGGED = jsonschema_rs.validator_for(json.loads((SCHEMAS / "tagged_article.v1.json").read_text()))
_ID = jsonschema_rs.validator_for({"type": ["string", "integer"]})
_SURROGATE = re.compile("[\ud800-\udfff]")

_MARK = "\ufeff"

#: Outcomes beside the codes.
ENRICHED, TOMBSTONE = "enriched", "tombstone"


@dataclass(frozen=True, slots=True)
class Expected:
    """Which outcomes are right: one, or several where the standard library cannot decide."""

    outcomes: frozenset[str]


def expected(value: bytes | None, output_limit_bytes: int) -> Expected:
    """What must become of a value.

    Args:
        output_limit_bytes: what the output topic takes.
    """
    if value is None:
        return _one(TOMBSTONE)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _one(RejectCode.INVALID_UTF8)
    try:
        # One byte order mark is no part of the text.
        document = _read(text.removeprefix(_MARK))
    except RecursionError:
        return Expected(frozenset({RejectCode.NESTED_TOO_DEEP, RejectCode.INVALID_JSON}))
    except ValueError:
        codes = {RejectCode.INVALID_JSON}
        # Broken text has no depth to go by, only brackets.
        if text.count("[") + text.count("{") > _MAX_DEPTH:
            codes.add(RejectCode.NESTED_TOO_DEEP)
        return Expected(frozenset(codes))
    if _depth(document) > _MAX_DEPTH:
        return _one(RejectCode.NESTED_TOO_DEEP)
    if not _ARTICLE.is_valid(document):
        return _one(_reason(document))
    if any(NOT_A_NUMBER in field.text for field in _fields(document)):
        return _one(RejectCode.NOT_A_NUMBER)
    return Expected(_by_size(len(value), document, output_limit_bytes))


def faults_of_enriched(value: bytes, enriched: bytes) -> list[str]:
    """What is wrong with an enriched message, given the article that it was; empty if nothing.

    Each begins with its sort and a colon.
    """
    faults = []
    document = json.loads(enriched)
    if not _TAGGED.is_valid(document):
        faults.append(f"wrong message: {next(iter(_TAGGED.iter_errors(document))).message}")
        return faults
    if enriched.startswith(_MARK.encode()):
        faults.append("wrong message: a byte order mark stands in front of it")
    members, before = _spelled(enriched), _spelled(value)
    if [name for name, _ in members[-2:]] != ["entities", "tagging"]:
        faults.append("wrong message: entities and tagging are not its last two fields")
    kept = [pair for pair in before if pair[0] not in ("entities", "tagging")]
    if members[:-2] != kept:
        faults.append("fields changed: another one is not as it came in")
    faults += _entity_faults(_fields(document), document["entities"])
    if document["tagging"]["model"] != "light":
        faults.append(f"wrong message: tagging names another model: {document['tagging']['model']}")
    return faults


def _by_size(size_bytes: int, document: dict[str, Any], limit_bytes: int) -> frozenset[str]:
    """Enriched or too large; both, where it depends on a few bytes around the entities."""
    surfaces = [len(entity.text.encode()) for entity in entities_of(_fields(document))]
    least = size_bytes + sum(surfaces) + 80 * len(surfaces)
    most = size_bytes + sum(surfaces) + 150 * len(surfaces) + 16_384
    outcomes = {ENRICHED} if least < limit_bytes else set()
    return frozenset(outcomes | ({RejectCode.TOO_LARGE} if most > limit_bytes else set()))


def _fields(document: dict[str, Any]) -> list[TextField]:
    return [TextField(name, document[name]) for name in TEXT_FIELDS if document.get(name)]


def _one(outcome: str) -> Expected:
    return Expected(frozenset({str(outcome)}))


def _entity_faults(fields: Sequence[TextField], entities: Sequence[dict[str, Any]]) -> list[str]:
    texts = {field.name: field.text for field in fields}
    for entity in entities:
        if texts.get(entity["field"], "")[entity["start"] : entity["end"]] != entity["text"]:
            return [f"entities changed: the surface of {entity} is not in its field"]
    wanted = [(one.field, one.start, one.end, one.type) for one in entities_of(fields)]
    found = [(one["field"], one["start"], one["end"], one["type"]) for one in entities]
    if found == wanted:
        return []
    return [f"entities changed: {len(found)} are not the {len(wanted)} that there are"]


def _read(text: str) -> Any:
    """The document, or ValueError or RecursionError where JSON or the schema's comment forbids."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        # Here, so that what a later member of the same name hides is looked at as well.
        for name, value in found:
            _check_strings([name, value])
        return dict(found)

    document = json.loads(
        text,
        object_pairs_hook=pairs,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_no_number,
    )
    _check_strings([document])
    return document


def _number(spelling: str) -> float:
    number = float(spelling)
    if number in (float("inf"), float("-inf")):
        raise ValueError("numbers must fit a double")
    return number


def _no_number(spelling: str) -> float:
    raise ValueError(f"{spelling} is not JSON")


def _check_strings(values: list[Any]) -> None:
    """ValueError for a lone surrogate in these; objects are left out, they were looked at."""
    waiting = list(values)
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and _SURROGATE.search(one):
            raise ValueError("a lone surrogate")
        if isinstance(one, list):
            waiting += one


def _depth(document: Any) -> int:
    """Arrays and objects inside one another, the outermost included."""
    deepest, waiting = 0, [(document, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, (dict, list)):
            deepest = max(deepest, depth)
            inner = one.values() if isinstance(one, dict) else one
            waiting += [(child, depth + 1) for child in inner if isinstance(child, (dict, list))]
    return deepest


def _reason(document: Any) -> RejectCode:
    """The first reason, in the order of the codes."""
    if not isinstance(document, dict):
        return RejectCode.NOT_AN_OBJECT
    if "id" not in document:
        return RejectCode.MISSING_ID
    if document["id"] == "":
        return RejectCode.EMPTY_ID
    texts = [document.get(name) for name in TEXT_FIELDS]
    is_id = _ID.is_valid(document["id"])
    if is_id and all(isinstance(text, str | None) for text in texts):
        return RejectCode.NO_TEXT
    return RejectCode.WRONG_TYPE


def _spelled(value: bytes) -> list[tuple[str, Any]]:
    """The members in order, repeated ones too, every number as it is spelled."""
    pairs: list[tuple[str, Any]] = json.loads(
        value, object_pairs_hook=list, parse_int=_Spelling, parse_float=_Spelling
    )
    return pairs


class _Spelling(str):
    """A number as it stands in the text; no string is ever equal to one."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spelling) and str(self) == str(other)
