"""A worker in the test's own loop, quick enough for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from entrepot.capabilities.operations.work import Handler
from entrepot.jobs.worker import Worker, WorkerSettings
from entrepot.metadata import executions, work
from entrepot.metadata.database import Database
from entrepot.model.work import NewTask, Status

QUICK = {
    "lease_seconds": 60.0,
    "poll_seconds": 0.05,
    "finish_seconds": 0.0,
    "unwind_seconds": 5.0,
    "cancel_grace_seconds": 0.0,
}


class Jobs:
    """What the tests do with one database."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, kind: str = "job", **fields) -> int:
        return self.db.write_sync(lambda conn: work.defer(conn, NewTask(kind, **fields)))

    def show(self, task: int) -> executions.TaskRecord:
        return self.db.read_sync(lambda conn: executions.get_task(conn, task))

    async def until(self, task: int, wanted: Callable[[executions.TaskRecord], bool]):
        """The task once it looks as wanted."""
        async with asyncio.timeout(30):
            while True:
                shown = await self.db.read(lambda conn: executions.get_task(conn, task))
                if wanted(shown):
                    return shown
                await asyncio.sleep(0.01)

    async def until_over(self, task: int):
        return await self.until(task, lambda shown: shown.status.is_final)

    async def until_retried(self, task: int):
        return await self.until(
            task, lambda shown: shown.status is Status.PENDING and shown.error is not None
        )

    @asynccontextmanager
    async def worker(self, *handlers: Handler, watches=(), **settings) -> AsyncIterator[Worker]:
        """A worker that is stopped at the end."""
        made = Worker(
            self.db,
            {handler.kind: handler for handler in handlers},
            settings=WorkerSettings(**{**QUICK, **settings}),
            watches=watches,
        )
        running = asyncio.ensure_future(made.run())
        try:
            yield made
        finally:
            made.stop()
            await asyncio.wait_for(running, 30)


@pytest.fixture
def jobs(migrated_database: Database) -> Jobs:
    """The database as the tests of jobs use it."""
    return Jobs(migrated_database)
