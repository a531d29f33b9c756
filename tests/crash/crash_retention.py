"""A scenario of retention: a policy removes more tags than one transaction does, and a signature with the last of them."""

import sqlalchemy as sa
from crash_acts import LIST, SECOND, SMALL, Act, Scenario, digest, with_images
from crash_world import World

from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies.retention_runs import BATCH, run_handler, run_task
from entrepot.metadata import leases, namespaces, retention, work
from entrepot.metadata.database import Connection
from entrepot.metadata.leases import Offer, Succeeded
from entrepot.metadata.schema import retention_log, retention_policies
from entrepot.model.retention import Keep, Plan, RetentionId, Rule, Selector, SelectorKind
from registry_in_memory import image

QUICK_STEPS = 4
THIRD = image([SMALL], note="third")
MORE = tuple(f"n{number:03}" for number in range(BATCH + 10))
SIGNED = str(digest(THIRD)).replace(":", "-") + ".sig"
RULE = Rule(Keep.NEWEST, 1, (Selector(SelectorKind.NAME, "two"),))
KEPT = {"list": str(digest(LIST)), "two": str(digest(SECOND))}
LEASE_SECONDS = 0.001  # nobody waits for the lease of a run that was killed


async def with_a_policy(world: World) -> None:
    """Many tags of one image, its signature, and an index that was pushed last."""
    await with_images(world)
    await world.push_manifest("app", THIRD, *MORE)
    await world.push_image("app", [b"signature"], SIGNED, note="of the third")
    await world.push_manifest("app", LIST, "list")

    def write(conn: Connection) -> None:
        repository = namespaces.find_repository(conn, world.instance.id, "team/app")
        assert repository is not None
        retention.insert_policy(
            conn, repository.namespace, repository.id, Plan((RULE,)), created_by=None
        )

    await world.ctx.db.write(write)


async def retain(world: World) -> None:
    """As a worker does: what a killed one held is due again."""
    db, handler = world.ctx.db, run_handler(world.ctx)
    number = await db.read(lambda conn: conn.scalar(sa.select(retention_policies.c.id)))
    offer = Offer(handler.kind, LEASE_SECONDS)

    def claim(conn: Connection) -> list[work.Task]:
        leases.recover(conn)
        work.defer(conn, run_task(RetentionId(number), None))
        return leases.claim(conn, [offer], limit=10)

    for task in await db.write(claim):
        summary = await handler.run(JobContext(db, task))
        ended = Succeeded(summary or {})
        await db.write(lambda conn, task=task, ended=ended: leases.finish(conn, task, ended))
    assert (await world.served())["team/app"]["tags"] == KEPT
    logged = await db.read(lambda conn: list(conn.scalars(sa.select(retention_log.c.tag))))
    assert sorted(logged) == sorted(["one", SIGNED, *MORE])


RETAIN = Scenario(
    "retention",
    with_a_policy,
    [Act("run", retain, in_steps=True)],
    quick_steps=QUICK_STEPS,
)
