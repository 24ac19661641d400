"""What Kubernetes takes, by its own schemas: those of its kinds and those that a CRD brings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

#: The oldest and the newest that the files are held against, and one between.
VERSIONS = ("1.30.0", "1.34.0", "1.37.0")


@cache
def _schema(version: str, kind: str, api_version: str) -> jsonschema_rs.Validator:
    """Raises FileNotFoundError where this Kubernetes has no such kind of itself."""
    group, _, number = api_version.rpartition("/")
    group = f"-{group.split('.')[0]}" if group else ""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    whole = json.loads((folder / "_definitions.json").read_text("utf-8"))
    one = json.loads((folder / f"{kind.lower()}{group}-{number}.json").read_text("utf-8"))
    text = json.dumps(one | {"$defs": whole["$defs"]})
    return jsonschema_rs.validator_for(json.loads(text.replace('"/api/_definitions.json#', '"#')))


def faults(document: Mapping[str, Any], version: str) -> list[str]:
    """What Kubernetes of this version would refuse in it, unknown fields among it.

    Raises:
        FileNotFoundError: it has no such kind of itself.
    """
    return _told(_schema(version, document["kind"], document["apiVersion"]), document)


def crd_faults(document: Mapping[str, Any], crd: Mapping[str, Any]) -> list[str]:
    """What the API of this CustomResourceDefinition would refuse in it, unknown fields among it."""
    assert crd["spec"]["names"]["kind"] == document["kind"]
    group, _, number = document["apiVersion"].rpartition("/")
    assert crd["spec"]["group"] == group
    (version,) = (one for one in crd["spec"]["versions"] if one["name"] == number)
    assert version["served"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    # What every object has; a CRD does not spell it.
    schema["properties"]["metadata"] = {"type": "object"}
    return _told(jsonschema_rs.validator_for(schema), document)


def _told(schema: jsonschema_rs.Validator, document: Mapping[str, Any]) -> list[str]:
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in schema.iter_errors(document)
    ]


def _closed(node: Any) -> Any:
    """The schema, with no members but those that it names; what Kubernetes calls strict."""
    if isinstance(node, list):
        return [_closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    # Kubernetes' own mark of numbers that may be written as text (ports, shares).
    if node.get("x-kubernetes-int-or-string"):
        node = {k: v for k, v in node.items() if k not in ("type", "anyOf")}
        node["type"] = ["integer", "string"]
    node = {name: _closed(one) for name, one in node.items()}
    if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
        node["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    return node
