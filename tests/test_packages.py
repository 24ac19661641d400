"""What is in the packages: the wheel, and the sdist that it can be built from."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from pathlib import Path

import pytest

from consumer import __version__
from hatch_build import KERNELS, LIBRARIES
from tests.support.deploy.deploy_files import ROOT
from tests.support.engines.native_kernels import has_compiler

DIST_INFO = f"nerstream-{__version__}.dist-info"

#: Everything that may be in a wheel. A new kind of file is added here, or kept out of consumer/.
IN_WHEEL = (
    r"consumer/([a-z0-9_]+/)*[a-z0-9_]+\.py",
    r"consumer/([a-z0-9_]+/)*native/(kernels|markup)\.so",
    r"consumer/models/minilm-l6-ner/(config|nerstream|tokenizer|tokenizer_config)\.json",
    r"consumer/models/minilm-l6-ner/(model\.safetensors|README\.md|LICENSE-backbone\.txt)",
    r"consumer/telemetry/live/web/(index\.html|style\.css|[a-z]+\.js)",
    r"consumer/samples/(articles\.jsonl|README\.md)",
    r"consumer/_schemas/(README\.md|(article|tagged_article)\.v1\.(avsc|json|proto))",
    r"consumer/_schemas/examples/[a-z_]+\.json",
    r"<dist-info>/(METADATA|WHEEL|RECORD|entry_points\.txt)",
    r"<dist-info>/licenses/(LICENSE|NOTICE|consumer/models/minilm-l6-ner/LICENSE-backbone\.txt)",
)

#: Beside them, in an sdist.
IN_SDIST = (
    r"consumer/([a-z0-9_]+/)*native/[a-z0-9_]+\.[ch]",
    r"schemas/(README\.md|(article|tagged_article)\.v1\.(avsc|json|proto))",
    r"schemas/examples/[a-z_]+\.json",
    r"(PKG-INFO|pyproject\.toml|hatch_build\.py|(constraints|requirements-hashed)\.txt)",
    r"(README|CHANGELOG)\.md|LICENSE|NOTICE|\.gitignore",
)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built of the sdist, so that the one holds all that the other is made of."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return zipfile.ZipFile(built("wheel", tree, folder / "dist"))


def built(target: str, tree: Path, folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=tree,
        check=True,
        capture_output=True,
    )
    (package,) = folder.glob("nerstream-*")
    return package


def strange(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Names that no pattern takes in."""
    allowed = re.compile("|".join(f"(?:{one})" for one in patterns))
    return [name for name in names if not allowed.fullmatch(name)]


def tracked(*folders: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {name for name in done.stdout.split("\0") if name}


def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"{DIST_INFO}/METADATA"))


def test_the_wheel_has_what_it_should_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = [name.replace(DIST_INFO, "<dist-info>") for name in wheel.namelist()]
    assert strange(names, IN_WHEEL) == []
    assert len(set(names)) == len(names)
    sources = {name for name in tracked("consumer") if not name.endswith((".c", ".h"))}
    schemas = {f"consumer/_{name}" for name in tracked("schemas")}
    assert sources | schemas <= set(names)
    if has_compiler:
        assert {library.path for library in LIBRARIES} <= set(names)


def test_the_sdist_has_what_the_wheel_is_made_of_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() for member in members)
    names = [member.name.partition("/")[2] for member in members]
    patterns = [one for one in IN_WHEEL if ".so" not in one]
    assert strange(names, [*patterns, *IN_SDIST]) == []
    assert tracked("consumer", "schemas") <= set(names)


def test_something_else_is_found() -> None:
    names = ["consumer/a.py", "consumer/a.pyc", "tests/a.py", "consumer/.env", "consumer/a.py.orig"]
    assert strange(names, IN_WHEEL) == names[1:]


def test_the_licence_is_told_and_its_texts_are_there(wheel: zipfile.ZipFile) -> None:
    told = metadata(wheel)
    assert told["License-Expression"] == "Apache-2.0"
    files = told.get_all("License-File")
    assert files == ["LICENSE", "NOTICE", "consumer/models/minilm-l6-ner/LICENSE-backbone.txt"]
    for name in files:
        assert wheel.read(f"{DIST_INFO}/licenses/{name}") == (ROOT / name).read_bytes()
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_the_notice_names_the_terms_of_model_and_corpus() -> None:
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    for named in ("consumer/models/minilm-l6-ner", "all-MiniLM-L6-v2", "CoNLL-2003",
                  "LICENSE-backbone.txt", "consumer/samples", "corpus/modern-news"):  # fmt: skip
        assert named in notice
        assert not named.startswith(("consumer/", "corpus/")) or (ROOT / named).exists()


def test_the_image_has_the_licence_too() -> None:
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"!LICENSE", "!NOTICE"} <= set(kept)
    assert "LICENSE NOTICE" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_what_the_wheel_is_for(wheel: zipfile.ZipFile) -> None:
    tags = email.message_from_bytes(wheel.read(f"{DIST_INFO}/WHEEL")).get_all("Tag")
    assert tags == [("py3-none-linux_x86_64" if has_compiler else "py3-none-any")]
    assert (KERNELS.path in wheel.namelist()) is has_compiler
    told = metadata(wheel)
    assert told["Requires-Python"] == ">=3.11"
    assert b"nerstream = consumer.cli:main" in wheel.read(f"{DIST_INFO}/entry_points.txt")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(needed["dependencies"]) == sum(
        "extra ==" not in one for one in told.get_all("Requires-Dist") or ()
    )
