"""A hub that answers with something else, over real sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.tagging.model.guard.hub_answers import other_size
from tests.support.servers.fake_hub import (
    CutHub,
    FakeHub,
    NamelessHub,
    OddHub,
    OtherHub,
    PickledHub,
    PortalForFiles,
    PortalHub,
    ShortHub,
    fake_hub,
)

#: In a process of its own, since the hub's address is read when its library is imported.
_FIND = """
import sys
from consumer.contracts.errors import ModelError
from consumer.tagging.model.folder import find_model_folder
try:
    print(find_model_folder("some/tagger", sys.argv[1]).revision)
except ModelError as error:
    print(error)
"""


def find(kind: type[FakeHub], home: Path, revision: str = "") -> str:
    """What comes of asking such a hub; one line always."""
    with fake_hub(kind) as address:
        done = subprocess.run(
            [sys.executable, "-c", _FIND, revision],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "HF_HOME": str(home),
                "HF_ENDPOINT": address,
                "HF_HUB_DISABLE_XET": "1",
            },
        )
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return line.replace(address, "HUB")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (PortalHub, "what answers at HUB is no Hugging Face hub (its answer is not JSON)"),
        (OddHub, "what answers at HUB is no Hugging Face hub (its answer lacks what a hub says)"),
        (NamelessHub, "is no Hugging Face hub (it names '../../../../etc' as the commit)"),
        (PortalForFiles, "that has another digest than it announced"),
        (OtherHub, "that has another digest than it announced"),
        (ShortHub, "that has another digest than it announced"),
        (PickledHub, "its repository has no weights as safetensors (*.safetensors), and no others"),
        (CutHub, "the download from HUB broke off (peer closed connection"),
    ],
)
def test_what_is_no_answer_of_a_hub_is_told(kind: type[FakeHub], says: str, tmp_path: Path) -> None:
    told = find(kind, tmp_path)
    assert told.startswith("model some/tagger: ")
    assert says in told
    if kind in (ShortHub, CutHub, OtherHub):
        # Nothing of it is left that a later start would take for the model.
        assert find(FakeHub, tmp_path) == FakeHub.COMMIT


def test_a_file_of_another_size_is_told() -> None:
    error = OSError("Consistency check failed: file should be of size 10 but has size 7 (a.json).")
    told = other_size("M", error)
    assert told is not None
    assert told.startswith("model M: of a.json the hub announced 10 bytes and sent 7; ")
    assert other_size("M", OSError("no space left")) is None


def test_a_pinned_commit_of_a_portal_is_told(tmp_path: Path) -> None:
    assert "is no Hugging Face hub" in find(PortalHub, tmp_path, FakeHub.COMMIT)
