"""What may be installed: bounds, versions, hashes, and nothing that says where from."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.deploy.deploy_files import DEPLOY, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
HASHED = (ROOT / "requirements-hashed.txt").read_text(encoding="utf-8")

#: What is installed for users: by itself, and with the extras that the image has too.
WANTED = [
    Requirement(line)
    for line in (
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["registry"],
        *PROJECT["optional-dependencies"]["languages"],
        *PROJECT["optional-dependencies"]["otel"],
    )
]

#: Whose major versions are dates, or have not broken anybody so far.
WITHOUT_UPPER_BOUND = {"h11", "rich", "structlog"}


def pins(text: str) -> dict[str, set[str]]:
    """Versions by name; more than one where markers tell them apart."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^\s;\\]+)", text, re.M):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: str(wanted.name))
def test_a_dependency_is_bounded_and_what_is_tested_is_within(wanted: Requirement) -> None:
    operators = {one.operator for one in wanted.specifier}
    assert ">=" in operators
    assert ("<" in operators) is (wanted.name not in WITHOUT_UPPER_BOUND)
    versions = pins(CONSTRAINTS)[canonicalize_name(wanted.name)]
    assert all(wanted.specifier.contains(Version(one)) for one in versions)


def test_the_hashes_are_of_the_versions_that_are_tested() -> None:
    tested, hashed = pins(CONSTRAINTS), pins(HASHED)
    assert {canonicalize_name(one.name) for one in WANTED} <= hashed.keys()
    others = {name: found for name, found in hashed.items() if found != tested.get(name)}
    assert others.keys() <= {"editables"}, "run make lock-hashes"


def test_each_version_has_hashes_and_no_line_is_anything_else() -> None:
    blocks = re.split(r"\n(?=\S)", HASHED.strip())
    assert len(blocks) > 80
    form = re.compile(
        r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
    )
    assert [block for block in blocks if not form.fullmatch(block)] == []


@pytest.mark.parametrize("text", [CONSTRAINTS, HASHED], ids=["constraints", "hashed"])
def test_nothing_says_where_from(text: str) -> None:
    for line in text.splitlines():
        assert "://" not in line
        assert " @ " not in line
        assert not line.lstrip().startswith(
            ("-i ", "-f ", "--index", "--extra", "--find", "-r ", "-e ")
        )


def test_make_and_the_image_install_by_hashes_where_they_are_told() -> None:
    for path in (ROOT / "Makefile", DEPLOY / "Dockerfile"):
        text = path.read_text(encoding="utf-8")
        assert "--require-hashes -r requirements-hashed.txt" in text
        assert "--no-build-isolation" in text
    assert "!requirements-hashed.txt" in (ROOT / ".dockerignore").read_text(encoding="utf-8")
