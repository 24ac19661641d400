"""Supervisor: starts workers, watches over them, and ends with them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

import structlog

from consumer import __version__
from consumer.app import STOPPED, shown
from consumer.contracts.choices import Switch
from consumer.contracts.errors import NerstreamError
from consumer.contracts.runs import RunProgress
from consumer.settings.schema import Settings
from consumer.start_check import check_start
from consumer.supervisor.board import Board, Link
from consumer.supervisor.crew import GONE, Act, Crew
from consumer.supervisor.ground import ground_of
from consumer.supervisor.page import workers_page
from consumer.supervisor.plan import Plan, planned, too_many
from consumer.supervisor.template import LoadTagger
from consumer.supervisor.template_client import Template, adopt_orphans
from consumer.supervisor.wire import Failed, Forked, Loaded, NotLoaded, Order, Report, Seen, Working
from consumer.telemetry.admin.configured import admin_from
from consumer.telemetry.gathered import Gathered, SupervisorMetrics
from consumer.telemetry.live.live import Live, facts_of
from consumer.telemetry.live.pages import live_pages
from consumer.telemetry.registry import gathered_registry, new_registry

#: Seconds between two looks for signals and processes that have ended.
_LOOK_S = 0.1

_NO_TEXT = (
    "admin_show_text=on shows no text with several workers: the page at / adds them up, and their "
    "texts stay with them; it has an effect with workers=1 alone"
)

log = structlog.get_logger(__name__)


class WorkersFailed(NerstreamError):
    """The workers cannot go on.

    Args:
        code: the exit code.
    """

    def __init__(self, said: str, code: int = 1) -> None:
        super().__init__(said)
        self.exit_code = code


def run_workers(
    settings: Settings,
    signals: Callable[[], int],
    load: LoadTagger | None = None,
    show: Callable[[RunProgress | None], None] = lambda _: None,
) -> int:
    """Run the workers that `settings.workers` asks for, until `signals` counts one, all have come
    to the end of a bounded run, or one fails again and again.

    Args:
        load: as for `Template`.
        show: told some ten times a second how far the bounded run is.

    Returns:
        As `consumer.app.serve`: 0 where all workers ended with it, or `STOPPED`.

    Raises:
        NerstreamError: a setting is wrong, the model cannot be loaded, the first worker does not
            start, a worker ends too often, or one does not drain.
    """
    settings = settings.for_run()
    adopt_orphans()
    supervisor = Supervisor(settings, signals, load, show)
    try:
        return supervisor.run()
    finally:
        supervisor.close()


class Supervisor:
    """One use only; the main thread.

    Args: as for `run_workers`.
    """

    def __init__(
        self,
        settings: Settings,
        signals: Callable[[], int],
        load: LoadTagger | None,
        show: Callable[[RunProgress | None], None],
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._load = load
        self._show = show
        self._board = Board()
        self._links = self._board.links
        self._plan: Plan | None = None
        self._template: Template | None = None
        self._is_loaded = False
        self._awaiting: list[int] = []
        self._unclaimed: dict[int, int] = {}
        self._gone = ""
        self._own = new_registry()
        self._metrics = SupervisorMetrics(self._own)
        gathered = Gathered(self._own, self._board.families)
        # The texts of the workers stay with them.
        self._live = Live(
            gathered.collect,
            self._board.health,
            facts_of(settings),
            commit_interval_s=settings.commit_interval_ms / 1000,
        )
        pages = live_pages(self._live, {"/workers": workers_page(self._board.rows)})
        self._admin = admin_from(settings, gathered_registry(gathered), self._board.health, pages)

    def run(self) -> int:
        """As `run_workers`."""
        settings = self._settings
        self._live.start()
        self._admin.start()
        log.info("starting", version=__version__, admin_port=self._admin.port, **shown(settings))
        if settings.admin_show_text is Switch.ON:
            log.warning(_NO_TEXT)
        # What is wrong with the settings is told here, once, and before anything is loaded.
        check_start(settings, os.environ)
        self._template = Template(settings, self._load)
        self._template.look(settings.device)
        while self._crew is None or not self._crew.is_over:
            if self._crew is None and self._signals():
                log.info("stopped while the model was being loaded")
                return STOPPED if settings.is_bounded else 0
            self._turn()
        return self._outcome(self._crew)

    def close(self) -> None:
        """End whatever still runs, and free the port."""
        for link in self._links.values():
            if link.pid is not None:
                _signal(link.pid, signal.SIGKILL)
        if self._template is not None:
            self._template.close()
        self._admin.close()
        self._live.close()

    @property
    def _crew(self) -> Crew | None:
        return self._board.crew

    # --- One turn

    def _turn(self) -> None:
        template = self._template
        pipes: list[Connection] = [one.pipe for one in self._links.values() if not one.pipe.closed]
        if template is not None:
            pipes.append(template.pipe)
        if pipes:
            wait(pipes, _LOOK_S)
        else:
            time.sleep(_LOOK_S)
        now = time.monotonic()
        if template is not None:
            self._hear_template(template, now)
        for number in list(self._links):
            self._hear(number, now)
        self._reap(now)
        crew = self._crew
        if crew is None:
            return
        if self._signals() > 1:
            crew.force()
        elif self._signals() == 1:
            crew.stop()
        for act, number in crew.due(now):
            self._do(act, number)
        self._metrics.workers(Counter(one.state.value for one in crew.members.values()))
        self._show(self._board.progress())

    def _hear_template(self, template: Template, now: float) -> None:
        try:
            while (answer := template.hear()) is not None:
                match answer:
                    case Seen(device):
                        self._decide(device)
                    case Loaded(seconds):
                        self._loaded(seconds)
                    case NotLoaded(said, code):
                        self._lose(template, said, code, now)
                        return
                    case Forked(number, pid):
                        self._forked(number, pid, now)
        except EOFError:
            said = "the process that loads the model ended by itself, perhaps for want of memory"
            self._lose(template, said, 1, now)

    def _lose(self, template: Template, said: str, code: int, now: float) -> None:
        """Go on without a template; the next start makes another one. Workers that it was to make
        have failed to start."""
        template.close()
        self._template = None
        if self._crew is None:
            raise WorkersFailed(said, code)
        log.warning(said)
        self._is_loaded = False
        for number in [one for one, link in self._links.items() if link.pid is None]:
            self._links.pop(number).pipe.close()
            self._crew.ended(number, 1, said, now)
        for number in self._awaiting:
            self._crew.ended(number, 1, said, now)
        self._awaiting.clear()

    def _decide(self, device: str) -> None:
        if self._plan is None:
            settings = self._settings
            ground = ground_of(settings, device)
            count, threads = settings.worker_count, settings.threads
            plan = self._plan = planned(count, threads, settings.tokenizer_processes, ground)
            log.info(
                "workers",
                workers=plan.workers,
                because=plan.because,
                device=device,
                threads=plan.threads,
                tokenizer_processes=plan.tokenizer_processes,
            )
            if warning := too_many(plan.workers, ground.partitions):
                log.warning(warning)
        assert self._template is not None
        self._template.load(self._settings_of(None), self._plan.is_shared)

    def _loaded(self, seconds: float) -> None:
        assert self._plan is not None
        self._is_loaded = True
        log.info("model loaded", seconds=round(seconds, 1), shared=self._plan.is_shared)
        if self._crew is None:
            settings = self._settings
            self._metrics.expect(self._plan.workers)
            self._board.crew = Crew(
                self._plan.workers,
                is_bounded=settings.is_bounded,
                silent_s=max(settings.stall_timeout_s, 60.0),
                drain_s=settings.shutdown_timeout_s,
            )
        for number in self._awaiting:
            self._fork(number)
        self._awaiting.clear()

    def _forked(self, number: int, pid: int, now: float) -> None:
        link = self._links.get(number)
        if link is None or self._crew is None:
            return
        link.pid = pid
        log.info("worker started", worker=number, pid=pid)
        self._crew.begun(number, now)
        if pid in self._unclaimed:
            self._ended(number, self._unclaimed.pop(pid), now)

    def _hear(self, number: int, now: float) -> None:
        link, crew = self._links[number], self._crew
        if crew is None:
            return
        try:
            while not link.pipe.closed and link.pipe.poll():
                message = link.pipe.recv()
                if isinstance(message, Report):
                    link.report, link.reported_at = message, now
                    crew.heard(number, message.health.alive, now)
                elif isinstance(message, Working):
                    if message.room is not None and self._settings.worker_count is None:
                        self._limit(crew, number, message.room)
                    crew.works(number, now)
                elif isinstance(message, Failed):
                    link.said = message.said
        except (EOFError, OSError):
            link.pipe.close()  # it has ended, or is about to

    def _limit(self, crew: Crew, number: int, room: int) -> None:
        """The first has shown what a worker takes of the device."""
        if number == 1 and room + 1 < len(crew.members):
            log.warning(
                "the device has memory for fewer workers", workers=room + 1, of=len(crew.members)
            )
            crew.limit(room + 1)

    def _reap(self, now: float) -> None:
        """Take the exit codes of those that have ended, orphans of a worker included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            number = next((one for one, link in self._links.items() if link.pid == pid), None)
            if number is not None:
                self._ended(number, code, now)
            elif self._template is None or pid != self._template.pid:
                self._unclaimed[pid] = code

    def _ended(self, number: int, code: int, now: float) -> None:
        assert self._crew is not None
        self._hear(number, now)  # its last words
        link = self._links.pop(number)
        link.pipe.close()
        member = self._crew.members[number]
        before = member.restarts
        self._crew.ended(number, code, link.said, now)
        if code == GONE:
            self._gone = link.said
        if code in (0, GONE) or self._crew.stops:
            log.info("worker ended", worker=number, exit_code=code)
        else:
            log.warning(
                "worker ended; it is started again",
                worker=number,
                exit_code=code,
                error=link.said or None,
                in_seconds=round((member.due_at or now) - now, 1),
            )
        if member.restarts > before:
            self._metrics.restarted(number)

    def _do(self, act: Act, number: int) -> None:
        if act is Act.START:
            self._start(number)
            return
        link = self._links.get(number)
        if link is None:
            return
        if act is Act.KILL:
            if link.pid is not None:
                stops = self._crew is not None and self._crew.stops
                why = "it does not end" if stops else "it makes no progress, or tells nothing"
                log.error("worker is killed", worker=number, because=why)
                _signal(link.pid, signal.SIGKILL)
            return
        # One that has ended is seen to.
        with contextlib.suppress(OSError):
            link.pipe.send(Order.FORCE if act is Act.FORCE else Order.STOP)

    def _start(self, number: int) -> None:
        if self._template is not None and self._is_loaded:
            self._fork(number)
            return
        self._awaiting.append(number)
        if self._template is None:
            self._template = Template(self._settings, self._load)
            self._template.look(self._settings.device)

    def _fork(self, number: int) -> None:
        assert self._template is not None
        self._links[number] = Link(self._template.fork(number, self._settings_of(number)))

    def _settings_of(self, number: int | None) -> Settings:
        """What a worker gets: its share, and names of its own."""
        assert self._plan is not None
        settings = self._settings
        changes: dict[str, object] = {
            "workers": "1",
            "threads": self._plan.threads,
            "tokenizer_processes": self._plan.tokenizer_processes,
        }
        if number is not None and settings.instance:
            changes["instance"] = f"{settings.instance}-{number}"
        static = settings.kafka.get("group.instance.id")
        if number is not None and static:
            changes["kafka"] = {**settings.kafka, "group.instance.id": f"{static}-{number}"}
        return settings.model_copy(update=changes)

    def _outcome(self, crew: Crew) -> int:
        if crew.failure is not None:
            raise WorkersFailed(crew.failure, crew.failure_code)
        codes = crew.codes()
        if all(code == 0 for code in codes.values()):
            log.info("all workers have ended")
            return 0
        if self._gone and set(codes.values()) <= {0, GONE, STOPPED}:
            raise WorkersFailed(self._gone)
        if self._settings.is_bounded and set(codes.values()) <= {0, STOPPED}:
            log.warning("the run was stopped before its end; start it again to go on")
            return STOPPED
        failed = ", ".join(f"worker {one}: {code}" for one, code in codes.items() if code)
        raise WorkersFailed(f"not all workers have drained (exit codes: {failed})")


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
