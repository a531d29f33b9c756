"""The one thread of this process that writes to SQLite: functions in groups, one durable commit a group."""

import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import sqlalchemy as sa

from entrepot.metadata.link import Guard, Link, abandon
from entrepot.metadata.sqlite_file import (
    CHECKPOINT_BYTES,
    LOG_LIMIT_BYTES,
    Turn,
    is_busy,
    meaning,
)
from entrepot.metadata.statistics import Statistics
from entrepot.model.errors import StorageUnavailable

GROUP_FUNCTIONS = 50
GROUP_SECONDS = 0.005
ATTEMPTS = 8  # of a group that finds the file busy
CHECKPOINT_GROUPS = 200


@dataclass(slots=True, eq=False)
class Job:
    """A function somebody waits for."""

    fn: Callable[[sa.Connection], Any]
    future: "Future[Any]" = field(default_factory=Future)
    value: Any = None
    error: BaseException | None = None
    hints: list[tuple[str, str]] = field(default_factory=list)


class _GroupLost(Exception):
    """SQLite rolled back the whole transaction (no room, I/O error): what ran before in the group must run again."""


class Writer:
    """Takes functions from any thread, answers each after its group's COMMIT is on disk."""

    def __init__(
        self,
        path: Path,
        connect: Callable[[], Link[sqlite3.Connection]],
        *,
        guard: Guard,
        statistics: Statistics,
        publish: Callable[[list[tuple[str, str]]], None],
    ) -> None:
        self._log = Path(f"{path}-wal")
        self._connect = connect
        self._guard = guard
        self._statistics = statistics
        self._publish = publish
        self._turn = Turn(path)
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_ending = False
        self._link: Link[sqlite3.Connection] | None = None
        self._groups = 0  # since the last checkpoint
        self._folded_bytes = 0  # size of the log file at the last checkpoint
        self._thread = threading.Thread(target=self._run, name="entrepot-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[sa.Connection], Any]) -> "Future[Any]":
        """Queue a function. StorageUnavailable once closed."""
        job = Job(fn)
        with self._closing:
            if self._is_closed:
                raise StorageUnavailable("the metadata database is closed")
            self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()
        self._turn.close()

    def _run(self) -> None:
        while not self._is_ending:
            job = self._queue.get()
            if job is None:
                break
            self._serve(job)
        if self._link is not None:
            abandon(self._link)

    def _serve(self, first: Job) -> None:
        waiting = deque([first])
        attempt = 0
        while waiting:
            try:
                self._turn.take()
            except OSError as locks:
                self._fail(waiting, StorageUnavailable(f"write lock: {locks.strerror}"))
                return
            try:
                done, error = self._transaction(waiting)
                self._answer(done)
                if error is None:
                    self._fold_log()
            finally:
                self._turn.give()
            if error is not None:
                attempt += 1
                self._back_off(waiting, error, attempt=attempt)

    def _back_off(self, waiting: "deque[Job]", error: BaseException, *, attempt: int) -> None:
        """After a failed group: wait and let it run again if the file was busy, else fail all its callers."""
        if is_busy(error) and attempt < ATTEMPTS:
            self._statistics.add("retries")
            time.sleep(random.uniform(0.5, 1) * min(0.005 * 2**attempt, 0.5))  # noqa: S311 (jitter)
            return
        self._fail(waiting, meaning(error) or error)

    def _fail(self, waiting: "deque[Job]", error: BaseException) -> None:
        for job in waiting:
            job.error = error
        self._answer(list(waiting))
        waiting.clear()

    def _transaction(self, waiting: "deque[Job]") -> tuple[list[Job], BaseException | None]:
        """One group: the jobs to answer, and why the others (left in `waiting`) could not be committed."""
        done: list[Job] = []
        try:
            link = self._link = self._link or self._connect()
            link.raw.execute("BEGIN IMMEDIATE")
            self._collect(link, waiting, done)
            link.raw.execute("COMMIT")
        except _GroupLost:  # the culprit has its error; its neighbours run again
            self._statistics.add("rollbacks")
            waiting.extendleft(reversed([job for job in done if job.error is None]))
            return [job for job in done if job.error is not None], None
        except Exception as error:  # noqa: BLE001 (the thread must live, the callers must hear)
            self._statistics.add("rollbacks")
            self._reset(error)
            waiting.extendleft(reversed([job for job in done if job.error is None]))
            return [job for job in done if job.error is not None], error
        self._statistics.add("commits")
        return done, None

    def _collect(
        self, link: Link[sqlite3.Connection], waiting: "deque[Job]", done: list[Job]
    ) -> None:
        """Run functions until 50 are done, 5 ms have passed or nobody waits."""
        until = time.monotonic() + GROUP_SECONDS
        while True:
            job = waiting.popleft() if waiting else self._take()
            if job is None:
                return
            if job.future.running() or job.future.set_running_or_notify_cancel():
                done.append(job)
                self._run_one(link, job)
            if len(done) >= GROUP_FUNCTIONS or (not waiting and time.monotonic() >= until):
                return

    def _take(self) -> Job | None:
        try:
            job = self._queue.get_nowait()
        except Empty:
            return None
        self._is_ending = self._is_ending or job is None
        return job

    def _run_one(self, link: Link[sqlite3.Connection], job: Job) -> None:
        """One function in its SAVEPOINT. Its failure is its caller's alone."""
        job.error = None
        link.hints = []
        link.raw.execute("SAVEPOINT entrepot_function")
        try:
            job.value = self._guard.call(job.fn, link.connection)
        except BaseException as error:  # whatever it is, it belongs to the caller
            job.error = meaning(error) or error
            if job.error is not error:
                job.error.__cause__ = error
            if not link.raw.in_transaction:
                raise _GroupLost from error
            link.raw.execute("ROLLBACK TO entrepot_function")
        else:
            job.hints = link.hints
        link.raw.execute("RELEASE entrepot_function")

    def _reset(self, error: BaseException) -> None:
        """Leave no transaction open; after a failure of the file start with a fresh connection."""
        if self._link is None:
            return
        with suppress(sqlite3.Error):
            if self._link.raw.in_transaction:
                self._link.raw.execute("ROLLBACK")
        if not is_busy(error):
            abandon(self._link)
            self._link = None

    def _answer(self, jobs: list[Job]) -> None:
        hints = [hint for job in jobs if job.error is None for hint in job.hints]
        for job in jobs:
            if job.error is None:
                job.future.set_result(job.value)
            elif job.future.running() or job.future.set_running_or_notify_cancel():
                job.future.set_exception(job.error)
        if hints:
            self._publish(hints)

    def _fold_log(self) -> None:
        """Checkpoint after the callers were answered, still in our turn, so no two processes ever do it at once.

        PASSIVE never waits for readers. A log that a long reader let grow past its limit is cut back to nothing as soon as
        that reader is gone (reads end after `READ_SECONDS`, so growth is bounded by what is written meanwhile).
        """
        self._groups += 1
        try:
            size = self._log.stat().st_size
        except OSError:
            return
        if self._groups < CHECKPOINT_GROUPS and size < self._folded_bytes + CHECKPOINT_BYTES:
            return
        self._groups = 0
        if self._link is None:
            return
        how = "TRUNCATE" if size > LOG_LIMIT_BYTES else "PASSIVE"
        with suppress(sqlite3.Error):
            self._link.raw.execute("PRAGMA busy_timeout=0")
            self._link.raw.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
        with suppress(sqlite3.Error):
            self._link.raw.execute("PRAGMA busy_timeout=5000")
        with suppress(OSError):
            size = self._log.stat().st_size
        self._folded_bytes = size
