"""The schema registry's client: a secret that changes in its file, and schemas that conflict."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.contracts.errors import RegistryProblem, RegistryUnavailable, SettingsError
from consumer.contracts.registry import RegisteredSchema, SchemaType
from consumer.kafka.registry import ConfluentRegistry
from tests.support.servers.registry_proxy import RegistryProxy


@pytest.fixture
def door() -> Iterator[RegistryProxy]:
    """Lets `me` in by the new password; nothing is behind it."""
    with RegistryProxy("http://127.0.0.1:1", "me:the-new-password") as door:
        yield door


def test_a_password_that_changes_in_its_file_is_used_from_the_next_refusal_on(
    door: RegistryProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "user"
    file.write_text("me:the-old-password\n")
    registry = ConfluentRegistry({"url": door.url, "basic.auth.user.info_file": str(file)})
    with pytest.raises(RegistryProblem, match="refuses the worker"):
        registry.check()
    assert len(door.authorizations) == 1, "nothing has changed that could help"
    file.unlink()
    with pytest.raises(RegistryProblem, match="refuses the worker"):
        registry.check()
    assert "the secret that was read before is used on" in caplog.text
    file.write_text("me:the-new-password\n")
    with caplog.at_level(logging.INFO), pytest.raises(RegistryUnavailable, match="503"):
        registry.check()
    assert "a secret of the schema registry has changed; it is used from now on" in caplog.text
    assert "the-old-password" not in caplog.text
    assert "the-new-password" not in caplog.text
    registry.close()


def test_a_file_that_holds_no_user_is_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "user"
    file.write_text("hidden")
    with pytest.raises(SettingsError) as raised:
        ConfluentRegistry({"url": "http://a", "basic.auth.user.info_file": str(file)})
    assert str(raised.value) == (
        "registry.basic.auth.user.info_file: has no password; it must be NAME:PASSWORD"
    )


_CONFLICT = (409, b'{"error_code":409,"message":"another one is being registered"}')
_SCHEMA = RegisteredSchema(SchemaType.AVRO, '"string"')


def test_a_conflict_with_another_worker_passes() -> None:
    """A registry may refuse all but the first of the workers that register the same schema."""
    with RegistryProxy("http://127.0.0.1:1") as door:
        door.answers = [_CONFLICT, (200, b'{"id":7,"version":1}')]
        registry = ConfluentRegistry({"url": door.url})
        assert registry.register("out-value", _SCHEMA) == 7
        registry.close()


def test_a_conflict_that_stays_is_told() -> None:
    with RegistryProxy("http://127.0.0.1:1") as door:
        door.answers = [_CONFLICT] * 9
        registry = ConfluentRegistry({"url": door.url})
        with pytest.raises(RegistryProblem, match=r"under out-value: .*being registered"):
            registry.register("out-value", _SCHEMA)
        registry.close()
