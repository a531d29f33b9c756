"""When retention policies run, and where they and their log end."""

import pytest
import sqlalchemy as sa
from retention_runs_harness import DAY, Retention, cosign, days, newest, push, rows, scenario

from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.operations.fanout import fanout_handler
from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies import retention_runs
from entrepot.capabilities.policies.retention_runs import (
    CONSUMER,
    START_HANDLER,
    START_WATCH,
)
from entrepot.metadata import leases, retention, work
from entrepot.metadata.database import now
from entrepot.metadata.leases import Offer
from entrepot.metadata.schema import (
    repositories,
    retention_log,
    retention_policies,
    retention_rules,
    tasks,
)
from entrepot.model.retention import Cycle, Plan
from entrepot.model.work import NewTask

pytestmark = pytest.mark.broad


async def fan_out(found: Retention) -> None:
    """Hand all events to retention, as the worker does."""
    handler = fanout_handler([CONSUMER])
    while claimed := await found.db.write(
        lambda conn: leases.claim(conn, [Offer(handler.kind, 60.0)], limit=50)
    ):
        for task in claimed:
            await handler.run(JobContext(found.db, task))


async def start_due(found: Retention) -> bool:
    """As the watch does; whether there was a reason."""
    if not await found.db.read(START_WATCH.wanted):
        return False
    await found.db.write(lambda conn: work.defer(conn, NewTask(START_HANDLER.kind)))
    offer = Offer(START_HANDLER.kind, 60.0)
    (task,) = await found.db.write(lambda conn: leases.claim(conn, [offer], limit=1))
    await START_HANDLER.run(JobContext(found.db, task))
    return True


@scenario()
async def test_a_burst_of_pushes_is_followed_by_one_run(found: Retention):
    await push(found, "v0")
    await fan_out(found)
    policy = await found.policy(newest(1))
    await found.policy(newest(1), after_push=False)
    await found.policy(newest(1), enabled=False)
    of_namespace = await found.policy(newest(5), path=None)
    number = await found.repository()
    for name in ("v1", "v2", "v3"):
        await found.registry.push_image("app", [b"layer"], name, note=name)
    await fan_out(found)

    assert await found.waiting() == [
        {"policy": policy, "repository": number},
        {"policy": of_namespace, "repository": number},
    ]
    waiting = sa.select(tasks.c.tenant_id).where(tasks.c.kind == retention_runs.RUN)
    assert None not in await found.db.read(lambda conn: list(conn.scalars(waiting)))
    await found.registry.age(60)
    await found.claimed()
    assert await found.tags() == ["v3"]


@scenario()
async def test_pushes_without_a_tag_and_of_signatures_start_nothing(found: Retention):
    pushed = await push(found, "v1")
    await fan_out(found)
    await found.policy(newest(1))
    await found.registry.push_image("app", [b"layer"], note="by digest")
    await found.registry.push_image("app", [b"sig"], cosign(pushed["v1"]))
    await found.registry.delete_tag("app", "v1")
    await fan_out(found)

    assert await found.waiting() == []


async def planned(found: Retention, policy) -> int:
    """Let it run by itself; when that will be."""

    def write(conn):
        plan = retention.find_policy(conn, policy).plan
        at = retention_runs.next_start(policy, plan.cycle, now(conn))
        retention.set_next(conn, policy, at)
        return at

    return await found.db.write(write)


@scenario()
async def test_a_policy_starts_once_a_day_however_long_nothing_ran(found: Retention):
    await push(found, "v1")
    policy = await found.policy(newest(1))
    await planned(found, policy)
    assert not await start_due(found)

    await found.registry.age(5 * DAY)
    assert await start_due(found)
    assert not await start_due(found)
    number = await found.repository()
    assert await found.waiting() == [{"policy": policy, "repository": number}]

    await found.claimed()
    await found.registry.age(DAY)
    assert await start_due(found)
    assert len(await found.waiting()) == 1


@scenario()
async def test_a_policy_of_a_deleted_repository_does_not_start_until_it_is_back(found: Retention):
    await push(found, "v1")
    await planned(found, await found.policy(newest(1)))
    await found.registry.delete_repository("app")
    await found.registry.age(DAY)

    assert await start_due(found)
    assert await found.waiting() == []
    assert not await start_due(found)

    query = sa.update(repositories).values(deleted_at=None)
    await found.db.write(lambda conn: conn.execute(query).rowcount)
    await found.registry.age(DAY)
    assert await start_due(found)
    assert len(await found.waiting()) == 1


@scenario()
async def test_the_log_is_forgotten_after_a_year(found: Retention):
    await push(found, "v1", "v2")
    await found.run(await found.policy(newest(1)))
    await found.registry.age(364 * DAY)
    assert not await start_due(found)

    await found.registry.age(2 * DAY)
    assert await start_due(found)
    assert await found.log() == []


@pytest.mark.parametrize("cycle", [Cycle.DAILY, Cycle.WEEKLY, Cycle.MONTHLY])
def test_cycles_come_when_they_are_due_and_not_all_at_once(cycle):
    longest = {Cycle.DAILY: 1, Cycle.WEEKLY: 7, Cycle.MONTHLY: 31}[cycle]
    at = 1_790_000_000_000_000
    times = [retention_runs.next_start(number, cycle, at) for number in range(1, 200)]

    assert all(at < one <= at + longest * DAY * 1_000_000 for one in times)
    assert len(set(times)) > 50
    again = retention_runs.next_start(7, cycle, times[6])
    assert again - times[6] >= min(longest, 28) * DAY * 1_000_000


def test_what_is_run_by_hand_never_comes_by_itself():
    assert retention_runs.next_start(1, Cycle.MANUAL, 0) is None


@scenario()
async def test_a_purged_repository_takes_its_policies_and_their_log_along(found: Retention):
    await push(found, "v1", "v2")
    await push(found, "v1", "v2", path="other")
    await found.run(await found.policy(newest(1)))
    kept = await found.policy(newest(1), path="other")
    await found.run(kept)
    await found.registry.delete_repository("app")
    await found.registry.age(8 * DAY)
    for _ in range(3):
        await collect(found.registry.ctx)
        await found.registry.age(DAY)

    assert [row.id for row in await rows(found, sa.select(retention_policies.c.id))] == [kept]
    other = await found.repository("other")
    assert [row[0] for row in await rows(found, sa.select(retention_log.c.repository_id))] == [
        other
    ]
    assert await rows(found, sa.select(repositories.c.id)) == [(other,)]


@scenario()
async def test_a_rule_is_written_once_for_all_that_falls_to_it_and_goes_with_the_last(found):
    """It may be long, and a million tags may fall to it."""
    await push(found, "v1", "v2", "v3", "v4", "v5")
    long = newest(3, *(f"{number}" * 250 for number in range(10)))
    policy = await found.policy(long)
    await found.run(policy)
    shorter = Plan((days(10), newest(1)))
    await found.db.write(lambda conn: retention.replace_plan(conn, policy, shorter))
    await found.run(policy)

    written = sa.select(retention_rules.c.version, retention_rules.c.position)
    assert await rows(found, written) == [(1, 0), (2, 1)]
    assert [(tag, rule) for tag, _, rule in await found.log()] == [
        ("v4", newest(1)),
        ("v3", newest(1)),
        ("v2", long),
        ("v1", long),
    ]
    await found.registry.age(366 * DAY)
    assert await start_due(found)
    assert await rows(found, written) == []


@scenario()
async def test_the_total_of_the_log_counts_some_thousands_behind_the_page(found):
    await push(found, *(f"v{number}" for number in range(8)))
    await found.run(await found.policy(newest(1)))
    number = await found.repository()

    def total(offset, limit):
        window = retention.Slice(offset, limit)
        return found.db.read(lambda conn: retention.log_page(conn, number, window)[1])

    assert [await total(0, 2), await total(100, 2)] == [7, 7]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "COUNTED", 1)
        assert [await total(0, 2), await total(3, 2), await total(6, 2)] == [3, 6, 7]
