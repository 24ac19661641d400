"""Row: one fault of the matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.faults.brokers.broker import Broker
from tests.faults.feeding.feed import Shape
from tests.faults.matrix.result import Result
from tests.faults.matrix.scene import Scene

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
        shapes: of what is fed, that it means something with.
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
    shapes: tuple[Shape, ...] = tuple(Shape)

    def shape(self, delivery: str, seed: int) -> Shape | None:
        """Of what is fed in a run; None where the row has a feed of its own.

        The name of the row says with which it begins, and each seed takes the next. The second
        mode is three ahead, so that a row in both modes meets every shape within three seeds.
        Without a seed it is the first.
        """
        if not self.shapes:
            return None
        if not seed:
            return self.shapes[0]
        begin = crc32(self.name.encode()) + 3 * (delivery == AT_LEAST_ONCE)
        return self.shapes[(begin + seed) % len(self.shapes)]

    def run(
        self,
        broker: Broker,
        folder: Path,
        delivery: str,
        *,
        rate: float,
        at_least: int,
        sabotage: str | None = None,
        seed: int = 0,
    ) -> Result:
        """Do it; blocks for as long as it takes. The network is healed afterwards.

        Args:
            seed: of all that is drawn, the shape of what is fed too.
        """
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
                shape=self.shape(delivery, seed) or Shape.KEYLESS,
                seed=seed,
                name=self.name,
                **self.settings,
            ) as scene:
                self.script(scene)
                return scene.finish()
        finally:
            broker.proxy.heal()
