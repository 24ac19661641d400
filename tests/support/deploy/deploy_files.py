"""The files in deploy/, parsed."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE, COMPONENTS = KUBERNETES / "base", KUBERNETES / "components"
GPU = COMPONENTS / "gpu"
#: What a person applies, by name.
APPLIED = ("base", "gpu", "production")


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


COMPOSE = parsed(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
POD = parsed(BASE / "deployment.yaml")["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
DOCTOR = POD["initContainers"][0]


def instructions() -> list[tuple[str, str]]:
    """Instruction and argument of the Dockerfile, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines()]


def last(instruction: str) -> str:
    """The argument that holds in the image that is built."""
    return [argument for name, argument in instructions() if name == instruction][-1]


def env_file(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose_variables(service: str) -> dict[str, str]:
    """The environment of a service, as it is where the person sets nothing."""
    given: dict[str, str] = SERVICES[service]["environment"]
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}


def kubernetes_variables() -> dict[str, str]:
    return env_file(BASE / "settings.env") | {
        item["name"]: item.get("value", "nerstream-5d8-x7k") for item in CONTAINER["env"]
    }


def load(variables: dict[str, str]) -> Settings:
    """Raises a SettingsError that names each variable that is unknown or wrong."""
    return load_settings(Namespace(), variables)


def all_yaml() -> list[Path]:
    return sorted({*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")})
