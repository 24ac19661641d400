"""Which versions an advisory names, and what the audit says of a database."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.deploy.deploy_files import ROOT


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_audit", ROOT / "docs/notes/make_audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_audit"] = module
    spec.loader.exec_module(module)
    return module


def within(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


@pytest.mark.parametrize(
    ("affected", "version", "is_affected"),
    [
        (within({"introduced": "0"}), "9.0", True),
        (within({"introduced": "0"}, {"fixed": "2.0.7"}), "2.0.6", True),
        (within({"introduced": "0"}, {"fixed": "2.0.7"}), "2.0.7", False),
        (within({"introduced": "0"}, {"last_affected": "2.0.7"}), "2.0.7", True),
        (within({"introduced": "0"}, {"last_affected": "2.0.7"}), "2.0.8", False),
        # Two ranges in one, and in no order.
        (within({"introduced": "2.0"}, {"fixed": "2.1"}, {"introduced": "0"}), "1.9", True),
        (
            within({"fixed": "1.26"}, {"introduced": "2.0"}, {"fixed": "2.1"}, {"introduced": "0"}),
            "1.27",
            False,
        ),
        # As some are written: no version, but begun by one; and one that nobody can read.
        (within({"introduced": "0"}, {"last_affected": "2.6.0-cu124"}), "2.15.0", False),
        (within({"introduced": "0"}, {"fixed": "soon"}), "2.15.0", True),
        ({"versions": ["1.0", "1.1"]}, "1.1.0", True),
        ({"versions": ["1.0", "nightly"]}, "1.1", False),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "1.0", False),
    ],
)
def test_a_version_is_in_or_out(
    audit: ModuleType, affected: dict[str, Any], version: str, is_affected: bool
) -> None:
    assert audit.is_affected(affected, version) is is_affected


ADVISORY = """
id: PYSEC-1
affected:
- package: {ecosystem: PyPI, name: Some_Package}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: "0"}, {fixed: "2"}]
"""


def test_a_database_is_read_whole(audit: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text(ADVISORY)
    (tmp_path / "b.json").write_text(
        '{"id": "GHSA-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "some.package"}, '
        '"versions": ["1.5"]}, {"package": {"ecosystem": "npm", "name": "other"}}]}'
    )
    (tmp_path / "c.yaml").write_text(f"withdrawn: 2026-01-01T00:00:00Z\n{ADVISORY}")
    (tmp_path / "d.yaml").write_text("name: some-package-of-others")
    found = audit.advisories(tmp_path, {"some-package": "1.6", "other": "1"})
    assert {(one.id, one.affected) for one in found} == {("PYSEC-1", True), ("GHSA-1", False)}


def test_what_is_no_database_is_told(audit: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no advisory"):
        audit.advisories(tmp_path, {"a": "1"})
    (tmp_path / "a.yaml").write_text("name: a\nid: [")
    with pytest.raises(SystemExit, match=r"a\.yaml is no advisory"):
        audit.advisories(tmp_path, {"a": "1"})


def test_the_page_names_the_database_and_its_day(audit: ModuleType) -> None:
    hit = audit.Advisory("PYSEC-1", "some-package", "1.6", True)
    missed = audit.Advisory("PYSEC-2", "some-package", "1.6", False)
    on = datetime(2026, 11, 30, tzinfo=UTC)
    page = audit.page([hit, missed], 90, ["database, abc of 2026-07-23"], on)
    assert "database, abc of 2026-07-23" in page
    assert "2 advisories name one of their packages, and 1 of them" in page
    assert "| PYSEC-1 | some-package | 1.6 |" in page
    assert "none of them" in audit.page([missed], 90, ["database"], on)


def test_every_pin_is_asked_for(audit: ModuleType) -> None:
    assert audit.pins('a.B==1.0\nc==2 ; python_version < "3.12"\n# d==3\n') == {
        "a-b": "1.0",
        "c": "2",
    }
    assert len(audit.pins((ROOT / "constraints.txt").read_text("utf-8"))) > 100


def test_without_a_database_the_command_says_what_it_needs(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="2"):
        audit.main([])
    assert "checkout of an advisory database" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        audit.main([str(tmp_path / "none")])
    assert "is no folder" in capsys.readouterr().err
