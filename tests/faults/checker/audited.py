"""`nerstream audit` as the judge of a run: what it says when all workers have ended."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.servers.kafka_server import ROOT

#: The audit of a run is of some thousand messages; a soak's is of millions.
_TIMEOUT_S = 1_800

#: What is wrong with which inputs, in the report.
_KINDS = ("lost", "doubled", "reordered", "altered", "invented")


def violations(settings: Mapping[str, Any], *arguments: str) -> list[str]:
    """Audit what workers of these settings have done; what the command finds, empty when good.

    Args:
        arguments: further ones, such as `--outcomes-from`.
    """
    with tempfile.TemporaryDirectory(prefix="nerstream-audit-") as folder:
        file = Path(folder) / "audit.toml"
        flat = {name: one for name, one in settings.items() if not isinstance(one, Mapping)}
        lines = [f"{name} = {json.dumps(one)}" for name, one in flat.items()]
        if "registry" in settings:
            properties = settings["registry"].items()
            lines += ["[registry]", *(f'"{name}" = {json.dumps(one)}' for name, one in properties)]
        file.write_text("\n".join(lines), encoding="utf-8")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "consumer",
                "audit",
                "--json",
                "--config",
                str(file),
                *arguments,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    if not done.stdout:
        return [f"audit: ended with {done.returncode}: {done.stderr.strip()}"]
    return told(done.returncode, json.loads(done.stdout))


def told(code: int, found: Mapping[str, Any]) -> list[str]:
    """What is wrong by the audit's exit code and by what `--json` says.

    Nothing is ever gone from the topics of a run, and nobody else writes to them.
    """
    unsaid, foreign = found["cannot_be_said"]["inputs"], found["foreign"]
    lines = []
    if not found["inputs"]:
        lines.append("audit: it has found no inputs")
    if unsaid:
        lines.append(f"audit: of {unsaid} inputs it cannot say whether they had an outcome")
    if foreign["count"]:
        lines.append(f"audit: {foreign['count']} foreign, the first {foreign['first'][:1]}")
    if code == 0:
        return lines  # doubled may be allowed
    lines += [
        f"audit: {found[kind]['count']} {kind}, the first {found[kind]['first'][:1]}"
        for kind in _KINDS
        if found[kind]["count"]
    ]
    return lines or [f"audit: ended with {code}, and says nothing of why"]
