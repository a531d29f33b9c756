"""What runs of retention policies remove from a registry, and what they never do, on both engines."""

import asyncio
import functools

import pytest
import sqlalchemy as sa
from retention_runs_harness import DAY, Retention, days, newest

from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.operations.fanout import fanout_handler
from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies import retention_runs
from entrepot.capabilities.policies.retention_runs import (
    BATCH,
    CONSUMER,
    START_HANDLER,
    START_WATCH,
)
from entrepot.metadata import leases, retention, retention_tags, work
from entrepot.metadata.database import now
from entrepot.metadata.leases import Offer
from entrepot.metadata.schema import (
    manifests,
    repositories,
    retention_log,
    retention_policies,
    tags,
)
from entrepot.model.errors import LeaseLost
from entrepot.model.retention import Cycle, Plan
from entrepot.model.work import NewTask
from entrepot.oci.digest import Digest
from registry_in_memory import image, index


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


# -- what goes --------------------------------------------------------------------------------------------------------


@scenario()
async def test_the_newest_stay_and_the_others_go_with_a_log_row_and_an_event(found: Retention):
    pushed = await push(found, "v1", "v2", "v3", "v4")
    rule = newest(2)
    policy = await found.policy(rule)

    assert await found.run(policy) == {"repositories": 1, "tags": 4, "removed": 2}

    assert await found.tags() == ["v3", "v4"]
    assert await found.counted() == 2
    assert await found.log() == [
        ("v2", digest(pushed["v2"]), rule),
        ("v1", digest(pushed["v1"]), rule),
    ]
    actor = f"retention policy {policy}"
    assert await found.told() == [
        (actor, "v1", digest(pushed["v1"])),
        (actor, "v2", digest(pushed["v2"])),
    ]


@scenario()
async def test_what_is_old_goes_and_manifests_stay(found: Retention):
    pushed = await push(found, "v1", "base", "v2")
    await found.registry.age(30 * DAY)
    await push(found, "v3")
    policy = await found.policy(days(20, "base"))

    await found.run(policy)

    assert await found.tags() == ["base", "v3"]
    assert await found.registry.pull("app", digest(pushed["v1"])) == pushed["v1"]


@scenario()
async def test_a_second_run_finds_nothing(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))
    await found.run(policy)

    assert (await found.run(policy))["removed"] == 0
    assert len(await found.log()) == 2


@scenario()
async def test_what_is_pushed_again_unchanged_is_not_old(found: Retention):
    await push(found, "nightly", "v1", "v2")
    await found.registry.age(DAY)
    await found.registry.push_image("app", [b"layer"], "nightly", note="nightly")
    policy = await found.policy(newest(1))

    await found.run(policy)

    assert await found.tags() == ["nightly"]


@scenario()
async def test_several_tags_of_one_image_are_judged_one_by_one(found: Retention):
    payload = await found.registry.push_image("app", [b"layer"], "v1")
    await found.registry.age(DAY)
    await found.registry.push_manifest("app", payload, "latest")
    policy = await found.policy(newest(1))

    await found.run(policy)

    assert await found.tags() == ["latest"]
    assert await found.registry.pull("app", "latest") == payload


@scenario()
async def test_a_policy_of_the_namespace_judges_each_repository_alone(found: Retention):
    await push(found, "v1", "v2", path="app")
    await push(found, "v1", "v2", "v3", path="web/site")
    policy = await found.policy(newest(1), path=None)

    assert await found.run(policy) == {"repositories": 2, "tags": 5, "removed": 3}

    assert await found.tags("app") == ["v2"]
    assert await found.tags("web/site") == ["v3"]


@scenario()
async def test_a_run_on_one_repository_leaves_the_others_of_the_namespace(found: Retention):
    await push(found, "v1", "v2", path="app")
    await push(found, "v1", "v2", path="site")
    policy = await found.policy(newest(1), path=None)

    await found.run(policy, repository=await found.repository("site"))

    assert await found.tags("app") == ["v1", "v2"]
    assert await found.tags("site") == ["v2"]


@scenario(gc__untagged_after="1d")
async def test_untagged_manifests_go_later_where_settings_say_so(found: Retention):
    pushed = await push(found, "v1", "v2")
    await found.run(await found.policy(newest(1)))
    await found.registry.age(3 * DAY)
    await collect(found.registry.ctx)

    query = sa.select(manifests.c.digest).where(manifests.c.deleted_at.is_(None))
    assert [one for (one,) in await rows(found, query)] == [digest(pushed["v2"])]


@scenario()
async def test_more_tags_than_a_transaction_takes(found: Retention):
    payload = await found.registry.push_image("app", [b"layer"])
    for start in range(0, 3 * BATCH, BATCH):
        names = [f"v{number:04}" for number in range(start, start + BATCH)]
        await found.registry.push_manifest("app", payload, *names)
        await found.registry.age(DAY)
    policy = await found.policy(newest(BATCH + 1))

    assert (await found.run(policy))["removed"] == 2 * BATCH - 1

    assert len(await found.tags()) == BATCH + 1
    assert await found.counted() == BATCH + 1


# -- signatures and other referrers -----------------------------------------------------------------------------------


@scenario()
async def test_signatures_are_not_counted_and_go_with_the_last_tag_of_what_they_sign(found):
    old = await found.registry.push_image("app", [b"layer"], "v1", "stable", note="old")
    await found.registry.push_image("app", [b"sig"], cosign(old), note="of old")
    await found.registry.age(DAY)
    new = await found.registry.push_image("app", [b"layer"], "v2", note="new")
    await found.registry.push_image("app", [b"sig"], cosign(new), note="of new")
    policy = await found.policy(newest(1, "stable"))

    await found.run(policy)
    assert await found.tags() == sorted([cosign(new), cosign(old), "stable", "v2"])

    await found.registry.delete_tag("app", "stable")
    await found.registry.push_manifest("app", old, "old-one")
    await found.registry.age(DAY)
    await found.registry.push_image("app", [b"layer"], "v3", note="newest")
    await found.run(policy)

    assert await found.tags() == ["v3"]
    assert await found.counted() == 1
    assert {tag for tag, _, _ in await found.log()} >= {cosign(old), cosign(new), "v1", "v2"}


@scenario()
async def test_a_signature_of_a_signature_goes_too(found: Retention):
    pushed = await push(found, "v1")
    sbom = await found.registry.push_image("app", [b"sbom"], cosign(pushed["v1"], ".sbom"))
    await found.registry.push_image("app", [b"sig"], cosign(sbom), note="of the list")
    await push(found, "v2")

    assert (await found.run(await found.policy(newest(1))))["removed"] == 3
    assert await found.tags() == ["v2"]


@scenario()
async def test_a_tagged_referrer_goes_with_its_subject_and_stays_with_it(found: Retention):
    pushed = await push(found, "v1", "v2")
    for name, payload in pushed.items():
        await found.registry.push_image("app", [b"list"], f"list-{name}", subject=payload)
    policy = await found.policy(newest(1))

    await found.run(policy)

    assert await found.tags() == ["list-v2", "v2"]


@scenario()
async def test_signatures_of_an_indexs_parts_go_with_the_index(found: Retention):
    parts = [await found.registry.push_image("app", [b"layer"], note=arch) for arch in ("a", "b")]
    for part in parts:
        await found.registry.push_image("app", [b"sig"], cosign(part), note=digest(part))
    whole = index(parts)
    await found.registry.push_manifest("app", whole, "v1")
    await push(found, "v2")

    await found.run(await found.policy(newest(1)))

    assert await found.tags() == ["v2"]
    assert await found.registry.pull("app", digest(whole)) == whole


@scenario()
async def test_signatures_of_a_part_stay_while_another_index_or_tag_has_it(found: Retention):
    parts = [await found.registry.push_image("app", [b"layer"], note=arch) for arch in ("a", "b")]
    for part in parts:
        await found.registry.push_image("app", [b"sig"], cosign(part), note=digest(part))
    await found.registry.push_manifest("app", index(parts), "v1")
    await found.registry.push_manifest("app", parts[0], "v1-a")
    await found.registry.age(DAY)
    await found.registry.push_manifest("app", index(parts[1:]), "v2")
    policy = await found.policy(newest(1, "v1-a"))

    await found.run(policy)
    assert await found.tags() == sorted(["v1-a", "v2", *map(cosign, parts)])

    await found.run(await found.policy(newest(1)))
    assert await found.tags() == sorted(["v2", cosign(parts[1])])


@scenario()
async def test_a_signature_whose_subject_is_not_there_stays(found: Retention):
    elsewhere = cosign(image([b"of another repository"]))
    await found.registry.push_image("app", [b"sig"], elsewhere)
    await push(found, "v1", "v2")

    await found.run(await found.policy(newest(1)))

    assert await found.tags() == sorted([elsewhere, "v2"])


# -- others do something meanwhile ------------------------------------------------------------------------------------


@scenario()
async def test_a_tag_that_moves_while_a_run_is_under_way_stays(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def moved():
        await found.registry.push_image("app", [b"fresh"], "v1", note="fresh")

    await found.run(policy, meanwhile=moved)

    assert await found.tags() == ["v1", "v3"]
    assert [tag for tag, _, _ in await found.log()] == ["v2"]


@scenario()
async def test_a_tag_that_is_pushed_again_unchanged_meanwhile_stays(found: Retention):
    pushed = await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def again():
        await found.registry.push_manifest("app", pushed["v1"], "v1")

    await found.run(policy, meanwhile=again)

    assert await found.tags() == ["v1", "v3"]


@scenario()
async def test_a_tag_that_is_deleted_meanwhile_is_not_logged(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def deleted():
        if "v1" in await found.tags():
            await found.registry.delete_tag("app", "v1")

    assert (await found.run(policy, meanwhile=deleted))["removed"] == 1
    assert [tag for tag, _, _ in await found.log()] == ["v2"]
    assert await found.counted() == 1


@scenario()
async def test_a_policy_that_is_replaced_meanwhile_runs_anew_with_what_it_says_now(found):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def replaced():
        await found.db.write(lambda conn: retention.replace_plan(conn, policy, Plan((newest(2),))))

    assert (await found.run(policy, meanwhile=replaced))["superseded"] == 1
    assert await found.tags() == ["v1", "v2", "v3"]

    await found.claimed()
    assert await found.tags() == ["v2", "v3"]
    assert await found.waiting() == []


@scenario()
async def test_a_policy_that_is_deleted_meanwhile_removes_nothing_more(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def gone():
        await found.db.write(lambda conn: retention.remove_policy(conn, policy))

    await found.run(policy, meanwhile=gone)

    assert await found.tags() == ["v1", "v2", "v3"]
    assert await found.waiting() == []


@scenario()
async def test_a_repository_that_is_deleted_meanwhile_is_left_as_it_was(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy, number = await found.policy(newest(1)), await found.repository()

    async def deleted():
        if await found.registry.ctx.hot.repository(found.registry.instance.id, "team/app"):
            await found.registry.delete_repository("app")

    assert (await found.run(policy, meanwhile=deleted))["removed"] == 0
    left = await found.db.read(
        lambda conn: retention_tags.newest_tags(conn, number, None, limit=10)
    )
    assert [one.image.tag for one in left] == ["v3", "v2", "v1"]


@scenario()
async def test_a_run_whose_lease_was_lost_removes_nothing(found: Retention):
    await push(found, "v1", "v2", "v3")
    policy = await found.policy(newest(1))

    async def taken():
        offer = Offer("retention.run", 60.0)
        await found.registry.age(DAY)
        await found.db.write(leases.recover)
        await found.registry.age(DAY)
        await found.db.write(lambda conn: leases.claim(conn, [offer], limit=1))

    with pytest.raises(LeaseLost):
        await found.run(policy, meanwhile=taken)
    assert await found.tags() == ["v1", "v2", "v3"]


@scenario()
async def test_pushes_that_race_a_run_never_lose_what_they_pushed(found: Retention):
    old = await found.registry.push_image("app", [b"layer"], note="old")
    names = [f"v{number:03}" for number in range(3 * BATCH)]
    for start in range(0, len(names), BATCH):
        await found.registry.push_manifest("app", old, *names[start : start + BATCH])
    await found.registry.age(40 * DAY)
    fresh = await found.registry.push_image("app", [b"layer"], note="fresh")
    policy = await found.policy(days(30))

    async def pushing():
        for name in reversed(names[::3]):
            await found.registry.push_manifest("app", fresh, name)

    run = asyncio.ensure_future(found.run(policy))
    await asyncio.gather(run, pushing())

    query = (
        sa.select(tags.c.name, tags.c.valid_until, manifests.c.digest)
        .join(manifests, manifests.c.id == tags.c.manifest_id)
        .where(manifests.c.digest == digest(fresh))
    )
    pushed = await rows(found, query)
    assert sorted(row.name for row in pushed) == names[::3]
    assert all(row.valid_until is None for row in pushed)
    assert {one for _, one, _ in await found.log()} <= {digest(old)}
    assert await found.tags() == names[::3]
    assert await found.counted() == len(names[::3])


# -- when it runs -----------------------------------------------------------------------------------------------------


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


# -- where it ends ----------------------------------------------------------------------------------------------------


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
