"""Row: one fault of the matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.broker import Broker
from tests.faults.result import Result
from tests.faults.scene import Scene

EXACTLY_ONCE, AT_LEAST_ONCE = "exactly_once", "at_least_once"


@dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Attributes:
        name: for the test and the command line.
        group: worker, group, broker or network; what fails.
        title: what happens, in a few words, for the table.
        script: takes the scene, starts the workers and does the fault; the scene checks the rest.
        proxied: whether the workers reach the broker through the proxy.
        sheltered: whether the clients of the run itself go through the proxy, which sees to it
            that they never hear that there are no brokers: see `ClientWatch.is_stranded`.
        cluster: whether it needs a second broker that lives on.
        two_models: whether the workers have two models behind one tagger.
        in_avro: whether the messages are in Avro, with a schema registry.
        settings: of every worker.
        deliveries: the modes that it means something in.
    """

    name: str
    group: str
    title: str
    script: Callable[[Any], None]
    proxied: bool = False
    sheltered: bool = False
    cluster: bool = False
    two_models: bool = False
    in_avro: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    deliveries: tuple[str, ...] = (EXACTLY_ONCE, AT_LEAST_ONCE)

    def run(
        self,
        broker: Broker,
        folder: Path,
        delivery: str,
        *,
        rate: float,
        at_least: int,
        sabotage: str | None = None,
    ) -> Result:
        """Do it; blocks for as long as it takes. The network is healed afterwards."""
        broker.proxy.shelters = self.sheltered
        try:
            with Scene(
                broker,
                folder,
                delivery=delivery,
                rate=rate,
                at_least=at_least,
                proxied=self.proxied,
                sheltered=self.sheltered,
                two_models=self.two_models,
                sabotage=sabotage,
                in_avro=self.in_avro,
                **self.settings,
            ) as scene:
                self.script(scene)
                return scene.finish()
        finally:
            broker.proxy.heal()
