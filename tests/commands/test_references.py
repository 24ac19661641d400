"""The generated references say what the code says, and are up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from consumer.commands import references
from consumer.settings.reserved import RESERVED_KAFKA_PROPERTIES
from consumer.settings.schema import GROUPS, Settings
from consumer.telemetry.declarations import ALL

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ["settings.md", "metrics.md"])
def test_the_committed_reference_is_the_generated_one(name: str) -> None:
    generated = references.references()[name]
    assert (DOCS / name).read_text(encoding="utf-8") == generated, "run `make docs`"


def section(text: str, heading: str) -> str:
    """What stands between this heading and the next one."""
    _, _, rest = text.partition(f"\n{heading}\n")
    assert rest, f"{heading} is missing"
    return rest.split("\n#", 1)[0]


def test_every_setting_is_there_once_with_its_three_names() -> None:
    text = references.settings_reference()
    for name, field in Settings.model_fields.items():
        assert text.count(f"\n### {name}\n") == 1
        part = section(text, f"### {name}")
        assert field.description
        assert " ".join(field.description.split()) in part
    for title in GROUPS.values():
        assert text.count(f"\n## {title}\n") == 1
    for name in RESERVED_KAFKA_PROPERTIES:
        assert f"| `{name}` |" in text


def test_a_setting_tells_type_unit_bounds_and_default() -> None:
    text = references.settings_reference()
    part = section(text, "### transaction_timeout_ms")
    assert "`--transaction-timeout-ms` · `NERSTREAM_TRANSACTION_TIMEOUT_MS`" in part
    assert "integer from 1000 to 900000; milliseconds; default `30000`" in part
    assert "one of `exactly_once`, `at_least_once`; default `exactly_once`" in section(
        text, "### delivery"
    )
    assert "list of text; default `title,body`" in section(text, "### text_fields")
    assert "number above 0; seconds; default `30.0`" in section(text, "### shutdown_timeout_s")
    assert "default empty" in section(text, "### revision")
    assert "default `0`" in section(text, "### threads")
    assert "`--kafka NAME=VALUE`" in section(text, "### kafka")


def test_optional_and_yes_or_no_settings_have_words_too() -> None:
    class More(BaseModel):
        model_config = ConfigDict(use_attribute_docstrings=True)

        limit_bytes: int | None = None
        """A limit."""
        quiet: bool = False
        """Whether to be quiet."""

    assert "integer; bytes; default empty" in references._setting(
        "limit_bytes", More.model_fields["limit_bytes"]
    )
    assert "true or false; default `false`" in references._setting(
        "quiet", More.model_fields["quiet"]
    )


def test_every_metric_is_there_with_all_it_tells() -> None:
    text = references.metrics_reference()
    for item in ALL:
        assert text.count(f"\n## {item.name}\n") == 1
        part = section(text, f"## {item.name}")
        assert part.strip().startswith(item.kind.value)
        assert item.doc in part
        assert f"**When to worry:** {item.worry}" in part
        for word in (*item.labels, *item.known):
            assert f"`{word}`" in part
    assert "0.005, 0.01," in section(text, "## nerstream_end_to_end_latency_seconds")


def test_the_command_writes_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references.main(str(tmp_path / "new"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "metrics.md",
        "settings.md",
    ]
    assert capsys.readouterr().out == ""
