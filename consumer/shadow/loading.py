"""The shadow that the settings ask for: its process begins beside the serving model."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

import structlog

from consumer.contracts.errors import SettingsError
from consumer.contracts.messages import ModelInfo
from consumer.settings.schema import Settings
from consumer.shadow.child import ShadowChild, ShadowFailed
from consumer.shadow.process import Refused
from consumer.shadow.sample import Sample
from consumer.shadow.shadow import Shadow, ShadowObserver

#: Seconds between two looks for signals.
_LOOK_S = 0.05

log = structlog.get_logger(__name__)


class ShadowLoading:
    """A second model that is being loaded.

    Args:
        settings: `shadow_model` is one.

    Raises:
        SettingsError: its process cannot be started.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        try:
            self._child = ShadowChild(settings.model_dump_json(), settings.shadow_model)
        except ShadowFailed as failure:
            raise _refused(settings, str(failure)) from failure
        self._answer: Future[ModelInfo | Refused] = Future()
        self._thread = Thread(target=self._wait, name="nerstream-load-shadow", daemon=True)
        self._thread.start()

    def model(self, signals: Callable[[], int] = lambda: 0) -> ModelInfo | None:
        """The model, once it is loaded; None if a signal came before. Blocks.

        Raises:
            SettingsError: it cannot be loaded.
        """
        while self._thread.is_alive():
            self._thread.join(_LOOK_S)
            if signals():
                return None
        try:
            answer = self._answer.result()
        except ShadowFailed as failure:
            raise _refused(self._settings, str(failure)) from failure
        if isinstance(answer, Refused):
            raise _refused(self._settings, answer.message)
        return answer

    def shadow(self, observer: ShadowObserver) -> Shadow:
        """What compares with the model, once it is loaded."""
        loaded = self._answer.result()
        assert not isinstance(loaded, Refused)  # `model` has said so
        log.info(
            "shadow model loaded",
            model=loaded.name,
            revision=loaded.revision,
            dtype=loaded.dtype,
            share=self._settings.shadow_share,
            seconds=round(time.monotonic() - self._began, 1),
        )
        return Shadow(
            self._child,
            Sample(self._settings.shadow_share),
            observer,
            batch_tokens=self._settings.batch_tokens,
            batch_articles=self._settings.batch_articles,
            examples=self._settings.shadow_examples,
        )

    def close(self) -> None:
        """End the process, also while it loads."""
        self._child.kill()
        self._thread.join()
        self._child.close()

    def _wait(self) -> None:
        try:
            self._answer.set_result(self._child.begun())
        except BaseException as failure:  # raised by `model`
            self._answer.set_exception(failure)


def _refused(settings: Settings, why: str) -> SettingsError:
    return SettingsError(
        "shadow_model",
        f"{settings.shadow_model} cannot be loaded: {why}",
        "name a model that model would take, or leave it out",
    )
