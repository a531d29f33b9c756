"""What runs of retention policies remove from a registry, and what they never do, on both engines."""

import asyncio

import pytest
import sqlalchemy as sa
from retention_runs_harness import (
    DAY,
    Retention,
    days,
    digest,
    newest,
    push,
    rows,
    scenario,
)

from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.policies.retention_runs import (
    BATCH,
)
from entrepot.metadata import leases, retention, retention_tags
from entrepot.metadata.leases import Offer
from entrepot.metadata.schema import (
    manifests,
    tags,
)
from entrepot.model.errors import LeaseLost
from entrepot.model.retention import Plan

pytestmark = pytest.mark.broad


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
