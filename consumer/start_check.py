"""What a worker refuses of its settings before it asks anybody, for `run` and for `doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from consumer.codec.article_codec import Codec
from consumer.contracts.errors import SettingsError
from consumer.kafka.client_check import check_clients
from consumer.loading import worker_codec_from
from consumer.settings.flags import flag_name
from consumer.settings.run_bounds import time_ms
from consumer.settings.schema import Settings
from consumer.tracing import check_tracing


def check_start(settings: Settings, environ: Mapping[str, str]) -> Codec:
    """Look at all that settings alone decide, the admin port but for (`check_admin`). `run` calls
    it before it loads anything and `doctor` before it looks at anything, so that what one refuses
    the other refuses too. It asks nobody.

    Args:
        settings: those of `Settings.for_run`.
        environ: the environment, for the variables of OpenTelemetry.

    Returns:
        What reads and writes messages.

    Raises:
        SettingsError: the bounds of a run, a property of a client, the format of messages or the
            tracing cannot be used, or something that they need is not installed.
    """
    _check_run(settings)
    # A wrong property must not be found after the model, which takes long.
    check_clients(settings)
    codec = worker_codec_from(settings)
    check_tracing(settings, environ)
    return codec


def _check_run(settings: Settings) -> None:
    """A time that is to come has no offset yet, so that the end could not be fixed."""
    for name in ("run_from", "run_until"):
        given = getattr(settings, name)
        at_ms = time_ms(given)
        if at_ms is not None and at_ms > time.time() * 1000:
            raise SettingsError(
                flag_name(name),
                f"{given} is to come",
                "a bounded run reads what is there when it begins; write a time that is past",
            )
