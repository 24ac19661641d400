"""Faults of a replay of dead letters."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.brokers.broker import Broker
from tests.faults.brokers.proxy import Api
from tests.faults.matrix.replay_scene import ReplayScene
from tests.faults.matrix.result import Result
from tests.faults.rows.row import EXACTLY_ONCE, Row
from tests.faults.workers.faulty_replay import POINTS

#: The passes of a point after which a replay dies there, so that it is in mid-run.
_PASSES = {"send": 150, "fence": 1, "look": 1, "close": 1}
_USUAL_PASSES = 2

#: So slow that what is there at the start of a replay is enough for all its faults.
_SLOW = "--rate=60"

#: Seconds that a transaction stays open behind which a replay must not look too short.
_OPEN_S = 8.0


@dataclass(frozen=True, slots=True)
class ReplayRow(Row):
    """A fault of replays; its script takes a `ReplayScene`."""

    def run(
        self,
        broker: Broker,
        folder: Path,
        delivery: str,  # noqa: ARG002 - there is one
        *,
        rate: float,  # noqa: ARG002 - letters come as they come
        at_least: int,
        sabotage: str | None = None,
        seed: int = 0,
    ) -> Result:
        """Do it; blocks for as long as it takes. The network is healed afterwards."""
        try:
            with ReplayScene(
                broker,
                folder,
                at_least=at_least,
                proxied=self.proxied,
                sabotage=sabotage,
                draw=f"{seed} {self.name}",
            ) as scene:
                self.script(scene)
                return scene.finish()
        finally:
            broker.proxy.heal()


def killed_at(points: Sequence[str] = POINTS) -> Callable[[ReplayScene], None]:
    """A replay kills itself at each of these points, and is begun again."""

    def script(scene: ReplayScene) -> None:
        for point in scene.draw.sample(points, len(points)):
            passes = _PASSES.get(point.partition(".")[0], _USUAL_PASSES)
            # So few at a time, that something is left for the next one.
            replay = scene.start(f"{point}:{passes}:kill", "--rate=2000")
            code = scene.wait_dead(replay)
            assert code == -signal.SIGKILL, f"{point}: {code}\n{scene.logs()}"
            scene.fault(kills=1)

    return script


def killed(scene: ReplayScene) -> None:
    """A replay is killed from outside, at any moment, and begun again."""
    for _ in range(8):
        replay = scene.start(None, "--rate=300")
        scene.wait_sent()
        time.sleep(scene.draw.uniform(0.0, 1.0))
        replay.kill()
        scene.wait_dead(replay)
        scene.fault(kills=1)
    scene.start(None, "--rate=300")
    scene.wait_recovered()


def interrupted(scene: ReplayScene) -> None:
    """SIGTERM and SIGINT: it ends at once, and says how much is left."""
    for number in (signal.SIGTERM, signal.SIGINT):
        replay = scene.start(None, _SLOW)
        scene.wait_sent()
        replay.send_signal(number)
        assert scene.wait_dead(replay) == 128 + number, scene.logs()
        assert "the same command goes on" in scene.said(replay), scene.logs()
        scene.fault()


def two_at_once(scene: ReplayScene) -> None:
    """A second replay begins while the first one sends: it takes over, and the first ends."""
    for _ in range(3):
        first = scene.start(None, _SLOW)
        scene.wait_sent()
        second = scene.start(None, _SLOW)
        scene.fault()
        # What was sent may be what the brokers ended of the one that was killed before; then the
        # first may begin as late as the second, and be the one that takes over.
        scene.wait_for(partial(_has_ended, first, second), "one takes over from the other")
        loser, winner = (first, second) if first.poll() is not None else (second, first)
        assert scene.wait_dead(loser) == 1, scene.logs()
        assert "another replay" in scene.said(loser), scene.logs()
        scene.wait_recovered()
        winner.kill()
        scene.wait_dead(winner)
        scene.fault(kills=1)


def _has_ended(*replays: subprocess.Popen[bytes]) -> bool:
    return any(one.poll() is not None for one in replays)


def stopped(scene: ReplayScene) -> None:
    """A replay is stopped in its transaction, another one is done, and the first one wakes."""
    for point, asleep_s in (("end.before", 0.0), ("mark.after", 6.0)):
        zombie = scene.start(f"{point}:2:stop", "--rate=300")
        scene.wait_for(partial(_is_stopped, zombie.pid), f"the stop at {point}")
        scene.fault()
        time.sleep(asleep_s)
        assert scene.wait_dead(scene.start()) == 0, scene.logs()
        zombie.send_signal(signal.SIGCONT)
        scene.fault()
        # Where the brokers had ended its transaction already, it begins anew, and finds all sent.
        assert scene.wait_dead(zombie) in (0, 1), scene.logs()


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def behind_open(scene: ReplayScene) -> None:
    """A transaction of a worker stays open; behind its begin stand marks of a replay that is killed
    then. The next replay has to know them."""
    first = scene.start(None, _SLOW)
    scene.wait_sent()
    with scene.held_open():
        for _ in range(3):
            scene.wait_sent()
        first.kill()
        scene.wait_dead(first)
        scene.fault(kills=1)
        second = scene.start()
        time.sleep(_OPEN_S)
    assert scene.wait_dead(second) == 0, scene.logs()


def cut(scene: ReplayScene) -> None:
    """Every connection breaks, again and again."""
    replay = scene.start(None, _SLOW)
    for _ in range(5):
        scene.wait_sent()
        scene.fault()
        scene.broker.proxy.cut()
        scene.wait_recovered()
    assert scene.wait_dead(replay) == 0, scene.logs()


def held(held_answers: bool) -> Callable[[ReplayScene], None]:
    """What ends a transaction, or its answer, does not arrive, and the connection breaks."""

    def script(scene: ReplayScene) -> None:
        proxy = scene.broker.proxy
        replay = scene.start(None, _SLOW)
        for _ in range(3):
            scene.wait_sent()
            if held_answers:
                proxy.held_answers = frozenset({Api.END_TXN})
            else:
                proxy.held_requests = frozenset({Api.END_TXN})
            scene.wait_for(lambda: proxy.held > 0, "an end of transaction is held back")
            scene.fault()
            proxy.heal()
            scene.wait_recovered()
        assert scene.wait_dead(replay) == 0, scene.logs()

    return script


def broker_killed(scene: ReplayScene) -> None:
    """A broker is killed in the midst of a replay, and comes back."""
    replay = scene.start(None, _SLOW)
    for _ in range(2):
        scene.wait_sent()
        scene.fault(kills=1)
        scene.broker.server.kill()
        time.sleep(1.0)
        scene.broker.server.restart()
        scene.wait_recovered()
    assert scene.wait_dead(replay) == 0, scene.logs()


def _row(
    name: str,
    title: str,
    script: Callable[[ReplayScene], None],
    *,
    proxied: bool = False,
    cluster: bool = False,
) -> ReplayRow:
    return ReplayRow(
        name,
        "replay",
        title,
        script,
        proxied=proxied,
        cluster=cluster,
        deliveries=(EXACTLY_ONCE,),
        shapes=(),
    )


ROWS = (
    _row("replay_killed", "SIGKILL at any moment, then begun again", killed),
    _row("replay_killed_at_every_step", "SIGKILL at every step boundary", killed_at()),
    _row("replay_interrupted", "SIGTERM or SIGINT while it sends", interrupted),
    _row("replay_two_at_once", "a second replay begins while one sends", two_at_once),
    _row("replay_stopped", "SIGSTOP in a transaction, another replay, then SIGCONT", stopped),
    _row("replay_behind_open", "a worker's transaction hides marks of a killed one", behind_open),
    _row("replay_cut", "every connection breaks, again and again", cut, proxied=True),
    _row("replay_end_undelivered", "the end of a transaction is lost", held(False), proxied=True),
    _row("replay_end_answer_lost", "its answer is lost", held(True), proxied=True),
    _row("replay_broker_killed", "a broker is killed and comes back", broker_killed, cluster=True),
)
