"""What the checks judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from consumer.contracts.cluster import Cluster, Unknown
from consumer.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model on this device.

    Attributes:
        problem: why it cannot be used; empty where it can, and then the rest is known.
        name, revision, device, dtype: as in `ModelInfo`.
        sha256: checksum of the files of each model, see `model_sha256`.
        is_of_hub: whether it was found by its hub id.
        how: the kernels that run, as `consumer.tagging.select` logs them.
        load_s: seconds that loading took.
        batch_tokens, batch_s: of the largest batch that was run, and how long it took at most.
        out_of_memory_splits: how often a pass had to be run in halves.
        articles_per_s, tokens_per_s: its rate.
        measured_on: which articles were tagged, for a person.
    """

    problem: str = ""
    name: str = ""
    revision: str = ""
    device: str = ""
    dtype: str = ""
    sha256: tuple[str, ...] = ()
    is_of_hub: bool = False
    how: str = ""
    load_s: float = 0.0
    batch_tokens: int = 0
    batch_s: float = 0.0
    out_of_memory_splits: int = 0
    articles_per_s: float = 0.0
    tokens_per_s: float = 0.0
    measured_on: str = ""


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """Messages of the input, read without a group.

    Attributes:
        problem: why none could be read; empty where they could.
        messages: how many were read.
        rejected: of them, by code; `examples` has a reason of each.
        passed: tombstones, and articles that pass untagged.
        without_key: messages without a key.
        largest_bytes: the largest value.
        tokens: of each article, sorted; empty where no model was loaded.
        languages: articles by language; empty where none is known.
    """

    problem: str = ""
    messages: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    passed: int = 0
    without_key: int = 0
    largest_bytes: int = 0
    tokens: tuple[int, ...] = ()
    languages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """The schema registry.

    Attributes:
        url: where it is, without a password.
        problem: why it cannot be asked; empty where it can.
    """

    url: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known so far.

    Attributes:
        workers: how many are planned; None where nobody said.
        cluster: what was found of Kafka.
        registry: None where messages need no schema registry.
        admin_port_problem: that the port is in use; empty where it is free.
        model: None before it was looked at.
        sample: None where none was asked for.
    """

    settings: Settings
    cluster: Cluster
    workers: int | None = None
    registry: RegistryFacts | None = None
    admin_port_problem: str = ""
    model: ModelFacts | Unknown | None = None
    sample: SampleFacts | None = None
