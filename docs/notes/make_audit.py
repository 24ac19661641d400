"""Whether an advisory names a version that is locked: `make audit` writes its page beside this.

From a database of advisories on this machine, so without the network: files in the format of OSV
(YAML or JSON), as the Python Packaging Advisory Database has them. What was found out after the
database was copied is not in it, so its day is on the page.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[2]

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.M)
_NAME = re.compile(r"""["']?name["']?:\s*["']?([A-Za-z0-9._-]+)""")


@dataclass(frozen=True, slots=True)
class Advisory:
    """One that names a package of ours.

    Attributes:
        version: of the package that we have; affected: whether it names that one too.
    """

    id: str
    package: str
    version: str
    affected: bool


def pins(text: str) -> dict[str, str]:
    """The version of each package that a list of requirements pins."""
    return {str(canonicalize_name(name)): version for name, version in _PIN.findall(text)}


def advisories(folder: Path, locked: Mapping[str, str]) -> list[Advisory]:
    """Those in a database that name these packages; what was withdrawn left out.

    Raises:
        SystemExit: a file cannot be understood, or the folder holds no advisory.
    """
    found, files = [], 0
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".yaml", ".yml", ".json") or ".git" in path.parts:
            continue
        text = path.read_text("utf-8")
        files += 1
        named = {str(canonicalize_name(name)) for name in _NAME.findall(text)}
        if named.isdisjoint(locked):
            continue
        try:
            found += _of(yaml.load(text, yaml.CSafeLoader), locked)
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise SystemExit(f"{path} is no advisory in the format of OSV: {error}") from None
    if not files:
        raise SystemExit(f"{folder} holds no advisory (*.yaml, *.json in the format of OSV)")
    return found


def _of(advisory: Any, locked: Mapping[str, str]) -> Iterable[Advisory]:
    if advisory.get("withdrawn"):
        return
    hit: dict[str, bool] = {}
    for one in advisory.get("affected", ()):
        package = one.get("package", {})
        name = str(canonicalize_name(package.get("name", "")))
        if package.get("ecosystem") == "PyPI" and name in locked:
            hit[name] = hit.get(name, False) or is_affected(one, locked[name])
    for name, affected in hit.items():
        yield Advisory(advisory["id"], name, locked[name], affected)


def is_affected(affected: Mapping[str, Any], version: str) -> bool:
    """Whether what an advisory says of a package takes in a version of it."""
    ours = Version(version)
    if any(_version(listed) == ours for listed in affected.get("versions", ())):
        return True
    ranges = [one for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM"]
    return any(_is_within(one["events"], ours) for one in ranges)


def _is_within(events: Sequence[Mapping[str, Any]], ours: Version) -> bool:
    """Whether a version is in a range: the last event that is not behind it decides. An end that
    nobody can read ends nothing."""
    within = False
    for event in sorted(events, key=_place):
        (kind, at), *_ = event.items()
        place = _version(at)
        if kind == "introduced":
            within = within or place is None or ours >= place
        elif place is not None and kind in ("fixed", "last_affected"):
            within = within and (ours < place if kind == "fixed" else ours <= place)
    return within


def _place(event: Mapping[str, Any]) -> tuple[Version, bool]:
    (kind, at), *_ = event.items()
    return _version(at) or Version("0"), kind != "introduced"


def _version(text: object) -> Version | None:
    """A version, or the release that what is none begins with, such as `2.6.0-cu124`."""
    with contextlib.suppress(InvalidVersion):
        return Version(str(text))
    begin = re.match(r"\d+(\.\d+)*", str(text))
    return Version(begin.group()) if begin else None


def source_of(folder: Path) -> str:
    """What the database is called and of which day it is."""
    git = ["git", "-C", str(folder)]
    asked = subprocess.run(
        [*git, "log", "-1", "--format=%h of %cs"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return f"{folder.name}, of no day that it tells"
    return f"{folder.name}, {asked.stdout.strip()}"


def page(found: Sequence[Advisory], packages: int, sources: Sequence[str], on: datetime) -> str:
    """The page."""
    hits = [one for one in found if one.affected]
    rows = "".join(f"| {one.id} | {one.package} | {one.version} |\n" for one in hits)
    table = f"\n| advisory | package | version |\n| --- | --- | --- |\n{rows}" if hits else ""
    return (
        "# Known faults of what is installed\n\n"
        "Written by `make audit ADVISORIES=FOLDER`: each version in constraints.txt, those of the "
        "tests and tools included, held against a database of advisories in the format of OSV. "
        f"Looked up on {on:%Y-%m-%d} in {' and '.join(sources)}. What became known after that day "
        "is not in it; `pip-audit -r requirements-hashed.txt` asks today's, where the network "
        "allows it.\n\n"
        f"{packages} versions; {len(found)} advisories name one of their packages, and "
        f"{len(hits) or 'none'} of them the version that is installed.\n{table}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is 1 where an advisory names a version of ours."""
    parser = argparse.ArgumentParser(prog="make audit ADVISORIES=FOLDER", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--record", type=Path, default=ROOT / "docs" / "notes" / "advisories.md")
    asked = parser.parse_args(arguments)
    if not asked.folders:
        parser.error(
            "needs a checkout of an advisory database (https://github.com/pypa/advisory-database)"
        )
    locked = pins((ROOT / "constraints.txt").read_text("utf-8"))
    found: dict[tuple[str, str], Advisory] = {}
    for folder in asked.folders:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
        for one in advisories(folder, locked):
            found.setdefault((one.id, one.package), one)
    sources = [source_of(folder) for folder in asked.folders]
    text = page(list(found.values()), len(locked), sources, datetime.now(UTC))
    asked.record.write_text(text, "utf-8")
    print(text)
    return any(one.affected for one in found.values())


if __name__ == "__main__":
    sys.exit(main())
