"""Runs of retention policies in an open registry, one task at a time, as a worker would run them."""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import sqlalchemy as sa

from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies.retention_runs import run_handler, run_task
from entrepot.metadata import counters, leases, retention, tags, work
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schema import events, tasks
from entrepot.model.events import EventKind
from entrepot.model.ids import RepositoryId
from entrepot.model.retention import Keep, Plan, RetentionId, Rule, Selector, SelectorKind
from entrepot.model.work import Status
from entrepot.oci.digest import Digest
from registry_in_memory import Registry

DAY = 86_400


class Watched(JobContext):
    """A run that is told of before each of its writes: what others do meanwhile."""

    async def write(self, fn):
        await self.meanwhile()
        return await super().write(fn)


async def nothing() -> None:
    """Nobody does anything meanwhile."""


@dataclass
class Retention:
    """What the tests do with a registry's policies."""

    registry: Registry

    @property
    def db(self):
        return self.registry.ctx.db

    async def repository(self, path: str = "app"):
        found = await self.registry.ctx.hot.repository(self.registry.instance.id, f"team/{path}")
        return found.id

    async def policy(self, *rules: Rule, path: str | None = "app", **plan) -> RetentionId:
        """A policy of the repository, or (None) of the namespace."""
        repository = None if path is None else await self.repository(path)
        return await self.db.write(
            lambda conn: retention.insert_policy(
                conn, self.registry.namespace, repository, Plan(rules, **plan), created_by=None
            )
        )

    async def run(
        self,
        policy: RetentionId,
        *,
        repository: RepositoryId | None = None,
        meanwhile: Callable[[], Awaitable[None]] = nothing,
    ) -> dict[str, int]:
        """Run it once, to its end; what its task says then."""
        await self.db.write(lambda conn: work.defer(conn, run_task(policy, repository)))
        return await self.claimed(meanwhile)

    async def claimed(self, meanwhile: Callable[[], Awaitable[None]] = nothing) -> dict[str, int]:
        """Run the task that waits."""
        handler = run_handler(self.registry.ctx)
        offer = Offer(handler.kind, 60.0, handler.concurrency, handler.per_target)
        (task,) = await self.db.write(lambda conn: leases.claim(conn, [offer], limit=1))
        job = _watched(meanwhile)(self.db, task)
        summary = await handler.run(job)
        if not job.is_finished:
            await self.db.write(lambda conn: leases.finish(conn, task, Succeeded(summary or {})))
        query = sa.select(tasks.c.progress).where(tasks.c.id == task.id)
        return await self.db.read(lambda conn: conn.execute(query).scalar_one())

    async def waiting(self) -> list[dict]:
        """Arguments of the runs that wait."""
        query = sa.select(tasks.c.arguments).where(
            tasks.c.kind == "retention.run", tasks.c.status == Status.PENDING.value
        )
        return await self.db.read(lambda conn: list(conn.scalars(query.order_by(tasks.c.id))))

    async def tags(self, path: str = "app") -> list[str]:
        return await tags.names(self.db, await self.repository(path), after="", limit=10_000)

    async def counted(self, path: str = "app") -> int:
        number = await self.repository(path)
        return await self.db.read(lambda conn: counters.value(conn, "repository", number, "tags"))

    async def log(self, path: str = "app"):
        """(tag, digest, rule) of what was removed, the last first."""
        number = await self.repository(path)
        rows, total = await self.db.read(
            lambda conn: retention.log_page(conn, number, retention.Slice())
        )
        assert total == len(rows)
        return [(row.tag, row.digest, row.rule) for row in rows]

    async def told(self) -> list[tuple[str, str, str]]:
        """(actor, tag, digest) of the tags that ended, as events say."""
        query = sa.select(events.c.actor, events.c.tag, events.c.digest).where(
            events.c.kind == EventKind.TAG_DELETED.value
        )
        return await self.db.read(
            lambda conn: [tuple(row) for row in conn.execute(query.order_by(events.c.id))]
        )


def _watched(told: Callable[[], Awaitable[None]]) -> type[Watched]:
    return type("Watched", (Watched,), {"meanwhile": staticmethod(told)})


def newest(number: int, *exempt: str) -> Rule:
    """Keep so many; `exempt` are regular expressions."""
    return Rule(Keep.NEWEST, number, tuple(Selector(SelectorKind.PATTERN, text) for text in exempt))


def days(number: int, *exempt: str) -> Rule:
    """Keep what is of the last days; `exempt` are names."""
    return Rule(Keep.RECENT, number, tuple(Selector(SelectorKind.NAME, text) for text in exempt))


def scenario(**settings):
    """The test is a coroutine that is given the registry's policies."""

    def decorate(test):
        @functools.wraps(test)
        def wrapped(retaining):
            retaining(test, **settings)

        del wrapped.__wrapped__
        return wrapped

    return decorate


def digest(payload: bytes) -> str:
    return str(Digest.of(payload))


def cosign(payload: bytes, end: str = ".sig") -> str:
    return digest(payload).replace(":", "-") + end


async def push(found: Retention, *names: str, path: str = "app") -> dict[str, bytes]:
    """An image a name, a day between each and the next, the last one of today."""
    pushed = {}
    for name in names:
        await found.registry.age(DAY)
        pushed[name] = await found.registry.push_image(path, [b"layer"], name, note=name)
    return pushed


async def rows(found: Retention, query):
    return await found.db.read(lambda conn: conn.execute(query).all())
