"""What is installed with nerstream: `make dependencies` writes docs/notes/dependencies.md.

By uv alone, from the registry that it is set up for: which versions constraints.txt leads to, when
each was released, which licence it gives, and for which versions of Python and processors every one
of them has a wheel.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv" / "bin" / "uv"

#: What is installed beside nerstream itself where everything that it can do is asked for.
EXTRAS = ("registry", "languages", "otel")

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {"x86-64": "x86_64-manylinux_2_28", "ARM64": "aarch64-manylinux_2_28"}

#: Licences as their packages spell them, and as SPDX does.
_SPDX = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

#: Longest licence that is a name and no text.
_NAME_CHARACTERS = 60


def uv(*arguments: str, cwd: Path = ROOT) -> str:
    """What uv says."""
    done = subprocess.run([UV, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv {arguments[0]} {arguments[1]}: {done.stderr}")
    return done.stdout


def released() -> dict[tuple[str, str], str]:
    """The day of each version's newest file, by name and version, as uv's own lock has it."""
    with tempfile.TemporaryDirectory() as folder:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        wanted = [*project["dependencies"]]
        for extra in EXTRAS:
            wanted += project["optional-dependencies"][extra]
        pins = [
            line
            for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        told = {"name": "locked", "version": "0", "requires-python": project["requires-python"]}
        Path(folder, "pyproject.toml").write_text(
            "[project]\n"
            + "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
            + f"dependencies = {json.dumps(wanted)}\n"
            + f"[tool.uv]\nconstraint-dependencies = {json.dumps(pins)}\n",
            "utf-8",
        )
        uv("lock", "--quiet", cwd=Path(folder))
        lock = tomllib.loads(Path(folder, "uv.lock").read_text("utf-8"))
    return {
        (one["name"], one["version"]): max(_days(one), default="")
        for one in lock["package"]
        if "registry" in one["source"]
    }


def _days(package: dict[str, Any]) -> Iterable[str]:
    for file in (*package.get("wheels", ()), package.get("sdist", {})):
        if "upload-time" in file:
            yield str(file["upload-time"])[:10]


def licence(name: str) -> str:
    """The licence that an installed package gives; empty where it is not installed."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if line.startswith("License :: OSI Approved :: ")
    ]
    named = (told.get("License") or "").strip()
    found = classifiers or ([named] if 0 < len(named) <= _NAME_CHARACTERS else [])
    if not found:
        found = [_of_text(name)]
    return ", ".join(_SPDX.get(one, one) for one in found)


def _of_text(name: str) -> str:
    """By the head of the text that the package carries."""
    for file in metadata.files(name) or ():
        if re.search(r"(?i)licen[cs]e|copying", file.name):
            head = " ".join(file.read_text().split()[:60])
            for start, said in (
                ("Apache License", "Apache-2.0"),
                ("MIT License", "MIT"),
                ("NVIDIA", "NVIDIA's own"),
                ("Redistribution and use", "BSD-3-Clause"),
            ):
                if start in head:
                    return said
    return "none given"


def resolved(python: str, platform: str) -> dict[str, str]:
    """Versions by name, from wheels alone."""
    text = uv(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"),
        *("--python-version", python, "--python-platform", platform, "-c", "constraints.txt"),
        *(word for extra in EXTRAS for word in ("--extra", extra)),
        "pyproject.toml",
    )
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==(\S+)", text, re.M))


def page(on: datetime) -> str:
    """The page."""
    days = released()
    found = {
        (python, name): resolved(python, platform)
        for python in PYTHONS
        for name, platform in PLATFORMS.items()
    }
    here = found["3.11", "x86-64"]
    head = (
        "# What is installed with nerstream\n\n"
        "Written by `make dependencies` from constraints.txt and the registry. "
        f"Looked up on {on:%Y-%m-%d}. "
        "[Known faults](advisories.md) holds the same versions against a database of advisories. "
        "`make sbom` writes the same as CycloneDX.\n\n"
        "## Versions of Python\n\n"
        "Whether every package, extras `registry`, `languages` and `otel` included, has a "
        "wheel:\n\n"
        f"| Python | {' | '.join(PLATFORMS)} |\n| --- |{' --- |' * len(PLATFORMS)}\n"
    )
    for python in PYTHONS:
        cells = [f"{len(found[python, name])} packages, all wheels" for name in PLATFORMS]
        head += f"| {python} | {' | '.join(cells)} |\n"
    head += (
        "\nThe tests are run on 3.11. `make wheel-demo PYTHON=...`, which installs the built wheel "
        "with all of these and runs the demo, was run on 3.11.7, 3.12.1, 3.13.0 and "
        "3.14.10.\n"
    )
    rows = "".join(
        f"| {name} | {version} | {days.get((name, version), '')} | {licence(name)} |\n"
        for name, version in sorted(here.items())
    )
    return (
        f"{head}\n## Packages\n\nOn Python 3.11 and x86-64, with the day of each version's newest "
        f"file.\n\n| package | version | released | licence |\n| --- | --- | --- | --- |\n{rows}"
    )


if __name__ == "__main__":
    (ROOT / "docs" / "notes" / "dependencies.md").write_text(page(datetime.now(UTC)), "utf-8")
    sys.exit(0)
