"""A worker that runs tasks of instances one at a time, never waits, and can be killed around any of its transactions."""

from dataclasses import dataclass

import sqlalchemy as sa

from entrepot.bootstrap.duties import make_duties
from entrepot.capabilities.operations.work import JobContext
from entrepot.jobs.failures import failure
from entrepot.metadata import leases, work
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schema import tasks
from entrepot.model.work import NewTask


class Killed(BaseException):
    """Nothing in the program catches it, as nothing would catch SIGKILL."""


@dataclass
class MortalContext(JobContext):
    """Dies around its `left`-th transaction: before it (`is_before`), or when it has committed."""

    left: int = -1
    is_before: bool = False

    async def write(self, fn):
        self._die(before=True)
        done = await super().write(fn)
        self._die(before=False)
        return done

    async def finish(self, fn):
        self._die(before=True)
        await super().finish(fn)
        self._die(before=False)

    def _die(self, *, before):
        if before:
            self.left -= 1
        if self.left == 0 and before == self.is_before:
            raise Killed


class MortalWorker:
    """Hands for the tasks of a world."""

    def __init__(self, world):
        self.world = world
        self.duties = make_duties(world.ctx)
        self.handlers = {
            kind: one for kind, one in self.duties.handlers.items() if kind.startswith("instance.")
        }

    def step(self, *, die_at=-1, is_before=False) -> bool:
        """Run one waiting task, due or not; whether there was one. Killed lets its lease lapse."""
        task = self._claim()
        if task is None:
            return False
        try:
            self.world.do(self._run(task, die_at, is_before))
        except Killed:
            self.world.ctx.db.write_sync(
                lambda conn: conn.execute(
                    tasks.update().where(tasks.c.id == task.id).values(lease_until=0)
                )
            )
            self.world.ctx.db.write_sync(leases.recover)
            raise
        return True

    def run_out(self):
        """Until nothing waits."""
        while self.step():
            pass

    def watch(self):
        """What watches of instances would start."""

        def start(conn):
            for watch in self.duties.watches:
                if watch.kind in self.handlers and watch.wanted(conn):
                    work.defer(conn, NewTask(watch.kind, unique_key=f"watch:{watch.kind}"))

        self.world.ctx.db.write_sync(start)

    def _claim(self):
        offers = [
            Offer(one.kind, 60.0, one.concurrency, one.per_target) for one in self.handlers.values()
        ]

        def claim(conn):
            conn.execute(tasks.update().where(tasks.c.status == "pending").values(run_after=0))
            return leases.claim(conn, offers, limit=1)

        claimed = self.world.ctx.db.write_sync(claim)
        return claimed[0] if claimed else None

    async def _run(self, task, die_at, is_before):
        db = self.world.ctx.db
        job = MortalContext(db, task, left=die_at, is_before=is_before)
        try:
            outcome = Succeeded(await self.handlers[task.kind].run(job) or {})
        except Exception as error:  # as the runtime does
            outcome = failure(error)
        if not job.is_finished:
            await db.write(lambda conn: leases.finish(conn, task, outcome))


def waiting(world) -> list[str]:
    """Kinds of the tasks of instances that are not over."""
    query = sa.select(tasks.c.kind).where(
        tasks.c.status.in_(["pending", "running"]), tasks.c.kind.startswith("instance.")
    )
    return sorted(world.read(lambda conn: list(conn.scalars(query))))
