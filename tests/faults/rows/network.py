"""Faults of the network between the workers and the broker."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.brokers.proxy import Api
from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import EXACTLY_ONCE, Row

#: Seconds in which every client may forget the brokers, if it asks for them.
_FORGET_S = 30.0

#: Requests that end a transaction, or that commit offsets without one.
_END = {True: Api.END_TXN, False: Api.OFFSET_COMMIT}


def cut(scene: Scene) -> None:
    """Every connection breaks, again and again."""
    scene.start(3)
    for _ in range(5):
        scene.await_moment()
        scene.fault()
        scene.broker.proxy.cut()
        scene.wait_recovered()


def away(scene: Scene) -> None:
    """No connection for longer than the session and the transaction timeout."""
    scene.start(3)
    proxy = scene.broker.proxy
    proxy.refusing = True
    proxy.cut()
    time.sleep(6)
    proxy.refusing = False
    scene.fault()
    scene.wait_recovered()


def slow(scene: Scene) -> None:
    """Every request and every answer takes 100 to 200 ms more, for some seconds."""
    scene.start(3)
    scene.fault()
    scene.broker.proxy.delay_s = scene.draw.uniform(0.1, 0.2)
    time.sleep(6)
    scene.broker.proxy.delay_s = 0.0
    scene.wait_recovered()


def silent(scene: Scene) -> None:
    """The broker takes requests and gives no answer, for longer than the session timeout."""
    scene.start(3)
    proxy = scene.broker.proxy
    proxy.held_answers = frozenset(Api)
    time.sleep(5)
    scene.fault()
    proxy.heal()
    scene.wait_recovered()


def brokers_forgotten(scene: Scene) -> None:
    """Brokers answer that there are none, for long enough that the clients end all connections."""
    workers = scene.start(3)
    # A client whose own thread hangs over it ends its worker.
    scene.supervised = True
    proxy = scene.broker.proxy
    proxy.hides_brokers = True
    proxy.cut()
    patient_until = time.monotonic() + _FORGET_S

    def have_forgotten() -> bool:
        """All; or some, where the client of another has not asked for brokers meanwhile."""
        seen = [
            "forgotten all brokers" in worker.log.read_text() or worker.process.poll() == 1
            for worker in workers
        ]
        return all(seen) or (any(seen) and time.monotonic() > patient_until)

    scene.wait_for(have_forgotten, "the workers have seen that their clients know no broker")
    scene.fault()
    proxy.heal()
    scene.wait_recovered()


def answer_lost(api: Callable[[Scene], Api]) -> Callable[[Scene], None]:
    """The broker does what it is asked, the answer never arrives, the connection breaks."""

    def script(scene: Scene) -> None:
        scene.start(2)
        proxy = scene.broker.proxy
        for _ in range(4):
            proxy.held_answers = frozenset({api(scene)})
            scene.wait_for(lambda: proxy.held > 0, "an answer is held back")
            time.sleep(0.2)
            scene.fault()
            proxy.heal()
            scene.wait_recovered()

    return script


def request_lost(api: Callable[[Scene], Api]) -> Callable[[Scene], None]:
    """The request never arrives, and the connection breaks."""

    def script(scene: Scene) -> None:
        scene.start(2)
        proxy = scene.broker.proxy
        for _ in range(4):
            proxy.held_requests = frozenset({api(scene)})
            scene.wait_for(lambda: proxy.held > 0, "a request is held back")
            scene.fault()
            proxy.heal()
            scene.wait_recovered()

    return script


def request_late(api: Callable[[Scene], Api]) -> Callable[[Scene], None]:
    """The request hangs in the network, its connection breaks, the worker goes on; then the
    request arrives, in the middle of a later transaction."""

    def script(scene: Scene) -> None:
        scene.start(2)
        proxy = scene.broker.proxy
        for _ in range(4):
            proxy.held_requests = frozenset({api(scene)})
            scene.wait_for(lambda: proxy.held > 0, "a request is held back")
            proxy.held_requests = frozenset()
            scene.fault()
            proxy.cut()
            scene.wait_recovered()
            proxy.release()

    return script


def end_unanswered(scene: Scene) -> None:
    """The transaction is committed, its connection stays, and no answer comes: found out."""
    _withheld(scene, answers=True)


def end_undelivered(scene: Scene) -> None:
    """The end of the transaction hangs on its way for as long as the worker waits: found out."""
    _withheld(scene, answers=False)


def _withheld(scene: Scene, answers: bool) -> None:
    workers = scene.start(2)
    proxy = scene.broker.proxy
    held = frozenset({Api.END_TXN})
    proxy.held_answers, proxy.held_requests = (
        (held, frozenset()) if answers else (frozenset(), held)
    )
    scene.wait_for(
        lambda: all("finding out" in worker.log.read_text() for worker in workers),
        "the workers have waited long enough",
    )
    scene.fault()
    proxy.heal()
    scene.wait_recovered()


def outcome_unknown(scene: Scene) -> None:
    """No answer to the end of a transaction for longer than the worker waits: it stops and says
    so, and the next one settles it."""
    first, _second = scene.start(2)
    proxy = scene.broker.proxy
    proxy.held_answers = frozenset({Api.END_TXN, Api.INIT_PRODUCER_ID})
    assert scene.wait_dead(first) == 1, first.log.read_text()
    assert "outcome of a transaction is unknown" in first.log.read_text()
    scene.fault()
    proxy.heal()
    scene.start_worker(ready=False)
    scene.start_worker(ready=False)
    scene.wait_recovered()


def _end(scene: Scene) -> Api:
    return _END[scene.transactional]


ROWS = (
    Row("cut", "network", "connections cut", cut, proxied=True),
    Row("away", "network", "no connection for 6 s", away, proxied=True),
    Row("slow", "network", "100 to 200 ms more in each direction", slow, proxied=True),
    Row(
        "brokers_forgotten",
        "network",
        "metadata without brokers: the clients forget them all",
        brokers_forgotten,
        proxied=True,
    ),
    Row("silent", "network", "answers withheld for 5 s", silent, proxied=True),
    Row(
        "end_answer_lost",
        "network",
        "answer to the end of a transaction lost: its outcome is unknown",
        answer_lost(_end),
        proxied=True,
    ),
    Row(
        "end_request_lost",
        "network",
        "end of a transaction lost on its way",
        request_lost(_end),
        proxied=True,
    ),
    Row(
        "end_request_late",
        "network",
        "end of a transaction arrives late, in the next one",
        request_late(_end),
        proxied=True,
    ),
    Row(
        "end_unanswered",
        "network",
        "no answer to the end of a transaction until the worker gives that producer up",
        end_unanswered,
        proxied=True,
        deliveries=(EXACTLY_ONCE,),
    ),
    Row(
        "end_undelivered",
        "network",
        "end of a transaction under way until the worker gives that producer up",
        end_undelivered,
        proxied=True,
        deliveries=(EXACTLY_ONCE,),
    ),
    Row(
        "produce_answer_lost",
        "network",
        "answer to a produce request lost",
        answer_lost(lambda _: Api.PRODUCE),
        proxied=True,
    ),
    Row(
        "offsets_answer_lost",
        "network",
        "answer to the offsets of a transaction lost",
        answer_lost(lambda _: Api.TXN_OFFSET_COMMIT),
        proxied=True,
        deliveries=(EXACTLY_ONCE,),
    ),
    Row(
        "outcome_unknown",
        "network",
        "outcome of a transaction unknown past every timeout: stops, and says so",
        outcome_unknown,
        proxied=True,
        deliveries=(EXACTLY_ONCE,),
    ),
)
