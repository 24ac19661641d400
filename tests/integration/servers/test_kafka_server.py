"""A broker whose storage was formatted before is one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.servers import kafka_server
from tests.integration.servers.kafka_server import KafkaServer


def test_what_was_formatted_before_gets_its_own_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formatted = tmp_path / "formatted"
    (formatted / "__cluster_metadata-0").mkdir(parents=True)
    (formatted / "__cluster_metadata-0" / "a.checkpoint").write_bytes(b"\x00")
    text = "#\nnode.id=1\ndirectory.id=A\nversion=1\ncluster.id=B\n"
    (formatted / "meta.properties").write_text(text)
    monkeypatch.setattr(kafka_server, "FORMATTED", formatted)
    found = []
    for name in ("one", "two"):
        data = tmp_path / name
        KafkaServer().format("no java", data)
        assert (data / "__cluster_metadata-0" / "a.checkpoint").read_bytes() == b"\x00"
        lines = (data / "meta.properties").read_text().splitlines()
        assert [line.partition("=")[0] for line in lines] == [
            *("#", "node.id", "directory.id", "version", "cluster.id")
        ]
        found += [lines[2], lines[4]]
    assert len(set(found)) == 4
    assert not {"directory.id=A", "cluster.id=B"} & set(found)
