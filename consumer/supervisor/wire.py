"""What supervisor, template and workers say to each other: private pipes, no port.

Both ends are of one program and one version, so pickle carries it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from consumer.contracts.runs import RunProgress
from consumer.settings.schema import Settings
from consumer.telemetry.gathered import Family
from consumer.telemetry.health import Health

# --- Supervisor to worker


class Order(StrEnum):
    """What a worker is told."""

    STOP = "stop"
    FORCE = "force"


# --- Worker to supervisor


@dataclass(frozen=True, slots=True)
class Working:
    """It has a model and a producer, and joins the group.

    Attributes:
        room: how many more workers the device has memory for; None where nothing bounds that.
    """

    room: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What it tells each second."""

    health: Health
    run: RunProgress | None
    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The error that it ends with, for a person."""

    said: str


FromWorker: TypeAlias = Working | Report | Failed

# --- Supervisor to template


@dataclass(frozen=True, slots=True)
class Look:
    """Say what there is: answered by `Seen`."""

    device: str


@dataclass(frozen=True, slots=True)
class Load:
    """Load what the workers share, if they share anything: answered by `Loaded` or `NotLoaded`."""

    settings: Settings
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Fork:
    """Make a worker; its end of the pipe follows. Answered by `Forked`."""

    number: int
    settings: Settings


ToTemplate: TypeAlias = Look | Load | Fork

# --- Template to supervisor


@dataclass(frozen=True, slots=True)
class Seen:
    """The kind of device: `cpu` or `cuda`."""

    device: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Workers can be made.

    Attributes:
        seconds: that it took.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """The error, for a person, and the exit code that goes with it."""

    said: str
    code: int


@dataclass(frozen=True, slots=True)
class Forked:
    """A worker runs."""

    number: int
    pid: int


FromTemplate: TypeAlias = Seen | Loaded | NotLoaded | Forked
