"""A second model in a process of its own: loaded, asked, refused, killed; with a tiny model."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from consumer.codec.text.source import read_html
from consumer.contracts.choices import Dtype
from consumer.contracts.errors import SettingsError
from consumer.contracts.messages import ModelInfo, TextField
from consumer.settings.schema import Settings
from consumer.shadow import child
from consumer.shadow.child import ShadowChild, ShadowFailed
from consumer.shadow.loading import ShadowLoading
from tests.support.fakes import eventually
from tests.support.processes.freeze import freeze


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.models.tiny_models import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def settings(shadow: Path, **more: object) -> Settings:
    values = {"device": "cpu", "dtype": Dtype.FLOAT32, "shadow_model": str(shadow), **more}
    return Settings.model_validate(values)


def test_it_answers_as_the_same_model_does_here_until_it_is_given_up(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consumer.loading import refined, tagger_from
    from consumer.shadow.process import answers

    given = settings(model, model=str(model), text_format="html")
    text, source = read_html("Ada <b>Lovelace</b> in <i>London</i> &amp; in Oslo")
    call = [
        (TextField("title", "Ada Lovelace in London"),),
        (TextField("title", "Rain"), TextField("body", text, source)),
    ]
    one = ShadowChild(given.model_dump_json(), given.shadow_model)
    try:
        info = one.begun()
        assert isinstance(info, ModelInfo)
        here = refined(tagger_from(given.model_copy(update={"threads": 1})), given)
        assert info.revision == here.models[0].revision
        assert one.ask(call) == answers(here, call)
        # It goes on after the signal that tells the worker to drain.
        os.kill(one.pid, signal.SIGTERM)
        assert len(one.ask(call)) == 2
        monkeypatch.setattr(child, "ANSWER_S", 0.05)
        freeze(one.pid)
        with pytest.raises(ShadowFailed, match="it has not answered for"):
            one.ask(call)
        os.kill(one.pid, signal.SIGCONT)
        # It ends with the pipe, so that a worker that was killed leaves nothing behind.
        one._connection.close()
        eventually(lambda: one._process.poll() is not None, "it has ended")
        assert one._process.returncode == 0
    finally:
        one.kill()
        one.close()


def test_a_model_that_cannot_be_loaded_is_a_wrong_setting(tmp_path: Path) -> None:
    loading = ShadowLoading(settings(tmp_path / "nothing"))
    try:
        with pytest.raises(SettingsError, match=r"shadow_model: .*nothing cannot be loaded: "):
            loading.model()
    finally:
        loading.close()


def test_a_signal_ends_the_wait_for_it(model: Path) -> None:
    loading = ShadowLoading(settings(model))
    try:
        assert loading.model(lambda: 1) is None
    finally:
        loading.close()


def test_a_process_that_ends_while_it_loads_is_told(model: Path) -> None:
    loading = ShadowLoading(settings(model))
    try:
        os.kill(loading._child.pid, signal.SIGKILL)
        with pytest.raises(SettingsError, match="ended by signal 9"):
            loading.model()
    finally:
        loading.close()


def test_a_process_that_cannot_be_started_is_told(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(SettingsError, match=r"shadow_model: .* \(no more processes\)"):
        ShadowLoading(settings(model))
