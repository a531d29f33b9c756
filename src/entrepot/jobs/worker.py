"""The worker: looks, claims, runs, beats, stops. One a process; any number of processes.

Idle it does one cheap read a poll and no write. It outlives outages of the database. Being killed costs others one lease of waiting;
being paused or cut off does no harm, for every write of a task names its claim (`metadata/leases.py`).
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from entrepot.capabilities.operations.work import Handler, JobContext, Watch
from entrepot.jobs.failures import place
from entrepot.jobs.run import Interrupt, Run
from entrepot.metadata import leases, schedules, work
from entrepot.metadata.database import Connection, Database
from entrepot.metadata.leases import Failed, Offer, Outcome
from entrepot.model.errors import LeaseLost, Unavailable
from entrepot.model.ids import TaskId
from entrepot.model.work import NewTask, Task

_log = structlog.get_logger(__name__)
LONGEST_PAUSE_SECONDS = 15.0  # between tries while the database does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How one worker works."""

    slots: int = 4  # tasks at once; two of them are never a long one's, if there are so many
    lease_seconds: float = 60.0  # of kinds that set none
    poll_seconds: float = 1.0
    finish_seconds: float = 5.0  # when stopping: tasks may end by themselves for so long
    unwind_seconds: float = 10.0  # an interrupted body may clean up for so long
    cancel_grace_seconds: float = 5.0  # a cancelled body may end by itself for so long

    @property
    def long_slots(self) -> int:
        """Long tasks at once: what waits behind them is soon done, and everybody's."""
        return max(1, self.slots - 2)

    @property
    def per_tenant(self) -> int:
        """Long tasks of one tenant at once, in all workers: half of what one worker runs, so another tenant finds room."""
        return max(1, self.long_slots // 2)


@dataclass(frozen=True, slots=True)
class _Look:
    outlook: leases.Outlook
    is_schedule_due: bool
    wanted: tuple[Watch, ...]


class Worker:
    """Runs tasks of the kinds it has handlers for."""

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        *,
        settings: WorkerSettings | None = None,
        watches: Sequence[Watch] = (),
    ) -> None:
        self._db = db
        self._handlers = dict(handlers)
        self._settings = settings or WorkerSettings()
        self._watches = dict.fromkeys(watches, 0.0)  # monotonic moment of the next look
        self._offers = [self._offer(handler) for handler in handlers.values()]
        self._runs: dict[TaskId, Run] = {}
        self._wake = asyncio.Event()
        self._is_stopping = asyncio.Event()

    def _offer(self, handler: Handler) -> Offer:
        return Offer(
            handler.kind,
            handler.lease_seconds or self._settings.lease_seconds,
            handler.concurrency,
            handler.per_target,
            self._settings.per_tenant if handler.is_long else None,
        )

    @property
    def running(self) -> int:
        """Tasks that run now."""
        return len(self._runs)

    def stop(self) -> None:
        """Claim nothing more, let running tasks end or hand them back; `run` returns then. On the loop's thread."""
        self._is_stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`. Once."""
        await self._db.listen(work.WAKE_CHANNEL, self._hear)
        async with asyncio.TaskGroup() as group:
            beats = group.create_task(self._beat_for_ever())
            await self._work(group)
            await self._drain()
            beats.cancel()

    # -- finding work -------------------------------------------------------------------------------------------------

    def _hear(self, kind: str) -> None:
        """A hint: a task of the kind was deferred; "": something was cancelled."""
        has_room = len(self._runs) < self._settings.slots
        if not kind or (has_room and kind in self._handlers):
            self._wake.set()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._is_stopping.is_set():
            self._wake.clear()
            try:
                found = await self._turn(group)
            except Exception as error:  # noqa: BLE001 (whatever the database does, the worker stays)
                failures += 1
                _log.warning("worker_cannot_look", error=place(error), failures=failures)
                await self._pause(self._is_stopping, _pause_seconds(failures))
                continue
            failures = 0
            if not found or len(self._runs) >= self._settings.slots:
                await self._pause(self._wake, self._settings.poll_seconds)

    @staticmethod
    async def _pause(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    async def _turn(self, group: asyncio.TaskGroup) -> int:
        """One look and what follows from it. How many tasks began."""
        moment = time.monotonic()
        watches = [watch for watch, at in self._watches.items() if at <= moment]
        look = await self._db.read(lambda conn: self._look(conn, watches))
        for key in look.outlook.cancelled:
            if run := self._runs.get(key):
                run.ask_to_stop(grace_seconds=self._settings.cancel_grace_seconds)
        free = self._settings.slots - len(self._runs)
        most_long = self._room_for_long()
        is_claiming = look.outlook.is_due and free > 0
        if not (is_claiming or look.outlook.is_silent or look.is_schedule_due or look.wanted):
            self._put_off(watches)
            return 0
        moment = time.monotonic()
        claimed = await self._db.write(
            lambda conn: self._advance(conn, look, free, most_long=most_long)
        )
        for task in claimed:
            self._begin(group, task, moment)
        self._put_off(watches)
        return len(claimed)

    def _put_off(self, watches: Sequence[Watch]) -> None:
        for watch in watches:
            self._watches[watch] = time.monotonic() + watch.every_seconds

    def _room_for_long(self) -> int:
        busy = sum(run.handler.is_long for run in list(self._runs.values()))
        return self._settings.long_slots - busy

    def _look(self, conn: Connection, watches: Sequence[Watch]) -> _Look:
        has_room = self._room_for_long() > 0
        kinds = [kind for kind, one in self._handlers.items() if has_room or not one.is_long]
        holding = [run.ctx.task for run in list(self._runs.values())]
        wanted = tuple(watch for watch in watches if watch.wanted(conn))
        outlook = leases.look(conn, kinds, holding=holding)
        return _Look(outlook, schedules.is_due(conn), wanted)

    def _advance(self, conn: Connection, look: _Look, free: int, *, most_long: int) -> list[Task]:
        """The one write of a turn."""
        if look.is_schedule_due:
            schedules.start_due(conn)
        if look.outlook.is_silent:
            leases.recover(conn, lost=self._lost)
        for watch in look.wanted:
            work.defer(conn, NewTask(watch.kind, unique_key=f"watch:{watch.kind}"))
        return leases.claim(conn, self._offers, limit=free, most_long=most_long)

    def _lost(self, conn: Connection, task: Task) -> None:
        handler = self._handlers.get(task.kind)
        if handler is not None and handler.lost is not None:
            handler.lost(conn, task)

    # -- running ------------------------------------------------------------------------------------------------------

    def _begin(self, group: asyncio.TaskGroup, task: Task, moment: float) -> None:
        handler = self._handlers[task.kind]
        lease_seconds = handler.lease_seconds or self._settings.lease_seconds
        run = Run(handler, JobContext(self._db, task), lease_seconds, held_at=moment)
        self._runs[task.id] = run
        group.create_task(self._see_through(run))

    async def _see_through(self, run: Run) -> None:
        try:
            outcome = await run.outcome(unwind_seconds=self._settings.unwind_seconds)
            if outcome is not None:
                await self._write_down(run.ctx.task, outcome)
        finally:
            del self._runs[run.ctx.task.id]
            self._wake.set()

    async def _write_down(self, task: Task, outcome: Outcome) -> None:
        """Write what came of a task, however long the database is away; when stopping, three times only."""
        tries = 0
        while True:
            try:
                await self._db.write(partial(leases.finish, task=task, outcome=outcome))
            except LeaseLost:  # somebody else's now; or it was written, and the answer lost
                _log.info("job_lease_lost", task=task.id, kind=task.kind)
                return
            except Unavailable:
                tries += 1
                if self._is_stopping.is_set() and tries >= 3:
                    return
                await asyncio.sleep(_pause_seconds(tries))
            except Exception as error:  # noqa: BLE001 (a summary the database cannot store must not end the worker)
                _log.error("job_result_unstorable", task=task.id, error=place(error))
                if isinstance(outcome, Failed):
                    return
                outcome = Failed("its summary cannot be stored", may_retry=False)
            else:
                return

    # -- holding on ---------------------------------------------------------------------------------------------------

    async def _beat_for_ever(self) -> None:
        shortest = min([offer.lease_seconds for offer in self._offers], default=60.0)
        while True:
            await asyncio.sleep(min(1.0, shortest / 6))
            due = [run for run in self._runs.values() if run.is_beat_due]
            if due:
                try:
                    await self._beat(due)
                except Exception as error:  # noqa: BLE001 (bodies go on; the fence protects what they write)
                    _log.warning("worker_cannot_beat", error=place(error))
                    for run in due:
                        run.ctx.is_news = bool(run.ctx.progress)
                    await asyncio.sleep(1.0)

    async def _beat(self, runs: Sequence[Run]) -> None:
        moment = time.monotonic()
        news = {run: run.ctx.news() for run in runs}

        def beat(conn: Connection) -> dict[Run, bool | None]:
            return {run: _heartbeat(conn, run, progress) for run, progress in news.items()}

        for run, is_cancelled in (await self._db.write(beat)).items():
            run.held_at = moment
            if is_cancelled is None:
                run.interrupt(Interrupt.LOST)
            elif is_cancelled:
                run.ask_to_stop(grace_seconds=self._settings.cancel_grace_seconds)

    # -- stopping -----------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        until = time.monotonic() + self._settings.finish_seconds
        while self._runs and (left := until - time.monotonic()) > 0:
            self._wake.clear()
            await self._pause(self._wake, left)
        for run in self._runs.values():
            run.interrupt(Interrupt.STOPPING)


def _heartbeat(conn: Connection, run: Run, progress: Mapping[str, object] | None) -> bool | None:
    """Whether it was cancelled; None: the lease is lost."""
    try:
        return leases.heartbeat(
            conn, run.ctx.task, lease_seconds=run.lease_seconds, progress=progress
        )
    except LeaseLost:
        return None


def _pause_seconds(failures: int) -> float:
    longest: float = min(0.5 * 2.0 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 (jitter)
