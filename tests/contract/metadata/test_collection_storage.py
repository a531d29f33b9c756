"""Expiry, scrub, reconciliation and doctor, on both engines: what is found, what is mended, and what is left alone."""

import asyncio
import functools

import pytest
import sqlalchemy as sa

from entrepot.capabilities.content import feeding, uploading
from entrepot.capabilities.operations import doctor, expiry
from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.operations.comparing import compare
from entrepot.capabilities.operations.purging import Rules, settle_repository
from entrepot.capabilities.operations.reconcile import reconcile, restore_reviews
from entrepot.capabilities.operations.scrub import Scope, scrub
from entrepot.metadata import counters
from entrepot.metadata.schema import (
    blobs,
    repositories,
    repository_blobs,
    reviews,
    upload_sessions,
)
from entrepot.model.access import SYSTEM
from entrepot.model.errors import BlobUnknown, StorageUnavailable, UploadUnknown
from entrepot.oci.digest import Algorithm, Digest
from entrepot.ports.blobs import ObjectKey
from registry_in_memory import open_registry

HOUR = 3600
DAY = 24 * HOUR
FAST = Scope(rate=0)


@pytest.fixture
def play(migrated_database, tmp_path):
    """Runs a scenario against an open registry."""

    def run(scenario, **settings):
        async def body():
            async with open_registry(migrated_database, tmp_path, **settings) as found:
                return await scenario(found)

        return asyncio.run(body())

    return run


def scenario(**settings):
    """The test is a coroutine that is given the registry."""

    def decorate(test):
        @functools.wraps(test)
        def wrapped(play):
            play(test, **settings)

        del wrapped.__wrapped__
        return wrapped

    return decorate


def key_of(registry, content: bytes) -> ObjectKey:
    (key,) = [k for k, found in registry.store.objects.items() if bytes(found.data) == content]
    return key


async def rows_in(registry, table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return await registry.ctx.db.read(lambda conn: conn.execute(query).scalar_one())


def codes(report: doctor.Report) -> set[str]:
    return {finding.code for finding in report.findings}


def store(registry, key: str, content: bytes, *, finished: bool = True) -> ObjectKey:
    upload = registry.store.begin(ObjectKey(key))
    upload.write(memoryview(content))
    if finished:
        upload.finish()
    upload.close()
    return ObjectKey(key)


async def session_with(registry, content: bytes):
    place = registry.place("app")
    session = await uploading.start_upload(registry.ctx, SYSTEM, place, Algorithm.SHA256)

    async def feed(sink, limit):
        sink.write(memoryview(content))
        return len(content)

    return await uploading.append(registry.ctx, SYSTEM, place, session.id, feed=feed, chunk=None)


# -- expiry -----------------------------------------------------------------------------------------------------------


@scenario()
async def test_an_idle_upload_session_is_closed_with_its_bytes(registry):
    session = await session_with(registry, b"half a layer")
    await registry.age(7 * DAY - HOUR)
    assert await expiry.expire_sessions(registry.ctx) == 0
    await registry.age(2 * HOUR)
    assert await expiry.expire_sessions(registry.ctx) == 1
    assert not registry.store.objects
    with pytest.raises(UploadUnknown):
        await uploading.get_upload(registry.ctx, SYSTEM, registry.place("app"), session.id)


@scenario()
async def test_a_session_that_is_being_written_to_is_not_closed(registry):
    session = await session_with(registry, b"half a layer")
    await registry.age(8 * DAY)
    handle = registry.store.resume(ObjectKey(session.object_key), state=b"", offset=session.offset)
    assert await expiry.expire_sessions(registry.ctx) == 0
    handle.close()
    assert await expiry.expire_sessions(registry.ctx) == 1


@scenario()
async def test_a_session_finished_but_never_recorded_leaves_nothing(registry):
    session = await session_with(registry, b"a layer")
    handle = registry.store.resume(ObjectKey(session.object_key), state=b"", offset=session.offset)
    handle.finish()
    handle.close()
    await registry.age(8 * DAY)
    assert await expiry.expire_sessions(registry.ctx) == 1
    assert not registry.store.objects


@scenario()
async def test_sessions_of_a_repository_deleted_for_good_are_closed(registry):
    await session_with(registry, b"half a layer")
    await registry.delete_repository("app")
    await registry.ctx.db.write(
        lambda conn: conn.execute(sa.text("UPDATE repositories SET deleted_at = 1"))
    )
    assert await expiry.expire_sessions(registry.ctx) == 1


@scenario()
async def test_leftovers_go_when_they_are_older_than_any_session(registry):
    store(registry, "a" * 32, b"left over", finished=False)
    session = await session_with(registry, b"known")
    await registry.age(8 * DAY - HOUR)
    assert await expiry.drop_leftovers(registry.ctx) == 0
    await registry.age(2 * HOUR)
    assert await expiry.drop_leftovers(registry.ctx) == 1
    assert list(registry.store.objects) == [session.object_key]


# -- scrub ------------------------------------------------------------------------------------------------------------


@scenario()
async def test_scrub_finds_sound_blobs_sound(registry):
    await registry.push_image("app", [b"layer"], "v1")
    found = await scrub(registry.ctx, FAST)
    assert (found.blobs, found.bytes, found.damaged, found.missing) == (2, 7, 0, 0)
    marked = sa.select(sa.func.count()).where(blobs.c.scrubbed_at.is_not(None))
    assert await registry.ctx.db.read(lambda conn: conn.execute(marked).scalar_one()) == 2


@scenario()
async def test_scrub_sets_damaged_and_missing_blobs_aside(registry):
    await registry.push_image("app", [b"damaged", b"missing"], "v1")
    registry.store.objects[key_of(registry, b"damaged")].data[0] ^= 1
    registry.store.delete(key_of(registry, b"missing"))
    found = await scrub(registry.ctx, FAST)
    assert (found.damaged, found.missing) == (1, 1)
    assert sorted(found.digests) == sorted(str(Digest.of(c)) for c in (b"damaged", b"missing"))
    for content in (b"damaged", b"missing"):
        with pytest.raises(BlobUnknown):
            await registry.pull_blob("app", str(Digest.of(content)))
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert "quarantined" in codes(report)
    assert not report.is_clean


@scenario()
async def test_what_the_store_cannot_read_just_now_is_left_alone(registry):
    await registry.push_image("app", [b"layer"], "v1")

    def away(*_args, **_kwargs):
        raise StorageUnavailable("reading an object: the disk is away")

    registry.store.open, whole = away, registry.store.open
    found = await scrub(registry.ctx, FAST)
    registry.store.open = whole
    assert found.unreadable == 2
    assert await registry.pull("app", "v1")


@scenario()
async def test_an_empty_store_does_not_set_everything_aside(registry):
    for number in range(30):
        await registry.push_blob("app", f"layer {number}".encode())
    kept = dict(registry.store.objects)
    registry.store.objects.clear()
    with pytest.raises(StorageUnavailable):
        await scrub(registry.ctx, FAST)
    registry.store.objects.update(kept)
    await scrub(registry.ctx, FAST)
    assert set((await registry.blob_rows()).values()) == {"live"}


@scenario()
async def test_a_blob_whose_bytes_are_right_again_is_let_out(registry):
    await registry.push_image("app", [b"layer"], "v1")
    key = key_of(registry, b"layer")
    registry.store.objects[key].data[0] ^= 1
    await scrub(registry.ctx, FAST)
    registry.store.objects[key].data[0] ^= 1
    assert (await scrub(registry.ctx, FAST)).released == 1
    assert await registry.pull("app", "v1")


@scenario()
async def test_a_push_heals_every_repository_that_had_the_damaged_blob(registry):
    for path in ("app", "other"):
        await registry.push_image(path, [b"layer"], "v1")
    old = key_of(registry, b"layer")
    registry.store.objects[old].data[0] ^= 1
    await scrub(registry.ctx, FAST)
    await registry.push_blob("third", b"layer")
    for path in ("app", "other"):
        assert await registry.pull(path, "v1")
    await registry.age(2 * DAY)
    await collect(registry.ctx)
    assert old not in registry.store.objects
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert report.findings == ()


@scenario(gc__scrub_rate="64KiB")
async def test_scrub_keeps_its_pace(registry):
    await registry.push_blob("app", bytes(32 << 10))
    loop = asyncio.get_running_loop()
    since = loop.time()
    await scrub(registry.ctx, Scope(rate=64 << 10))
    assert loop.time() - since >= 0.45


# -- reconciliation and doctor ----------------------------------------------------------------------------------------


@scenario()
async def test_objects_that_no_row_names_go_when_they_are_a_day_old(registry):
    await registry.push_image("app", [b"layer"], "v1")
    store(registry, "a" * 32, b"nobody's")
    store(registry, "z" * 32, b"nobody's either")
    await reconcile(registry.ctx, settle_seconds=0)
    assert len(registry.store.objects) == 4
    await registry.age(DAY + HOUR)
    done = await reconcile(registry.ctx, settle_seconds=0)
    assert (done["orphans_deleted"], done["orphan_bytes"]) == (2, 23)
    assert await registry.pull("app", "v1")


@scenario()
async def test_an_object_whose_row_comes_late_is_not_deleted(registry):
    """As on a store that dates objects by the begin of their upload."""
    digest = str(Digest.of(b"slow"))
    key = store(registry, "a" * 32, b"slow")
    await registry.push_blob("app", b"other")
    await registry.age(DAY + HOUR)
    looking = asyncio.ensure_future(compare(registry.ctx, settle_seconds=0.3))
    await asyncio.sleep(0.1)

    def record(conn):
        conn.execute(
            sa.insert(blobs).values(
                digest=digest, size=4, object_key=key, state="live", created_at=1
            )
        )

    await registry.ctx.db.write(record)
    assert (await looking).orphans == []


@scenario()
async def test_a_finished_upload_that_is_not_recorded_yet_belongs_to_its_session(registry):
    session = await session_with(registry, b"a layer")
    key = ObjectKey(session.object_key)
    handle = registry.store.resume(key, state=b"", offset=session.offset)
    handle.finish()
    handle.close()
    await registry.age(2 * DAY)
    await reconcile(registry.ctx, settle_seconds=0)
    place = registry.place("app")
    await uploading.commit(
        registry.ctx, SYSTEM, place, session.id, digest=Digest.of(b"a layer"), feed=feeding.nothing
    )
    assert await registry.pull_blob("app", str(Digest.of(b"a layer"))) == b"a layer"


@scenario()
async def test_blobs_without_an_object_or_of_another_size_are_set_aside(registry):
    await registry.push_image("app", [b"gone", b"short"], "v1")
    registry.store.delete(key_of(registry, b"gone"))
    registry.store.objects[key_of(registry, b"short")].data.pop()
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert {"object-missing", "object-size"} <= codes(report)
    done = await doctor.repair(registry.ctx, report)
    assert done["quarantined"] == 2
    assert await registry.blob_rows() == {
        str(Digest.of(b"gone")): "quarantined",
        str(Digest.of(b"short")): "quarantined",
        str(Digest.of(b"{}")): "live",
    }


@scenario()
async def test_the_store_of_another_deployment_is_left_alone(registry):
    for number in range(120):
        store(registry, f"{number:032d}", b"theirs")
    await registry.age(2 * DAY)
    with pytest.raises(StorageUnavailable):
        await reconcile(registry.ctx, settle_seconds=0)
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert "store-of-another" in codes(report)
    with pytest.raises(StorageUnavailable):
        await doctor.repair(registry.ctx, report)
    assert len(registry.store.objects) == 120
    await doctor.repair(registry.ctx, report, force=True)
    assert not registry.store.objects


@scenario()
async def test_doctor_finds_and_mends_sessions_leftovers_and_counts(registry):
    session = await session_with(registry, b"half a layer")
    registry.store.abandon(ObjectKey(session.object_key), state=b"")
    store(registry, "b" * 32, b"left over", finished=False)
    await registry.push_image("app", [b"layer"], "v1")
    await registry.ctx.db.write(lambda conn: counters.add(conn, "repository", 1, "bytes", 17))
    with registry.store.lock:
        registry.store.objects[ObjectKey("b" * 32)].modified_at = 0
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert {"session-lost", "upload-unknown", "count-wrong"} <= codes(report)
    done = await doctor.repair(registry.ctx, report)
    assert done["counts_corrected"] == 1  # the namespace's follows the repository's
    assert await rows_in(registry, upload_sessions) == 0
    assert (await doctor.examine(registry.ctx, settle_seconds=0)).findings == ()


@scenario()
async def test_doctor_says_nothing_of_counts_of_a_repository_that_is_being_purged(registry):
    await registry.push_image("other", [b"layer"], "v1")
    await registry.push_image("app", [b"layer"], "v1", "v2")
    await registry.delete_repository("app")
    await registry.age(8 * DAY)
    rules = Rules.of(registry.ctx.settings)
    query = sa.select(repositories.c.id).where(repositories.c.name == "app")
    number = await registry.ctx.db.read(lambda conn: conn.execute(query).scalar_one())
    steps = 0
    while await rows_in(registry, repositories) == 2:
        report = await doctor.examine(registry.ctx, settle_seconds=0)
        assert "count-wrong" not in codes(report), f"after {steps} steps"
        await registry.ctx.db.write(lambda conn: settle_repository(conn, number, rules))
        steps += 1
    assert steps >= 2
    assert "count-wrong" not in codes(await doctor.examine(registry.ctx, settle_seconds=0))


@scenario()
async def test_doctor_looks_at_the_counts_of_a_deleted_repository_that_may_come_back(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_repository("app")
    await registry.ctx.db.write(lambda conn: counters.add(conn, "repository", 1, "tags", 2))
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert [f.subjects for f in report.findings if f.code == "count-wrong"] == [
        ("repository:1 tags -2",)
    ]


@scenario()
async def test_doctor_finds_each_wrong_count_among_many_and_mends_no_other(registry):
    for number in range(7):
        await registry.push_image(f"app{number}", [f"layer {number}".encode()] * 2, "v1", "v2")
    await registry.delete_tag("app3", "v1")

    def spoil(conn):
        counters.add(conn, "repository", 2, "tags", 5)
        counters.add(conn, "repository", 6, "bytes", -3)
        counters.add(conn, "namespace", registry.namespace, "repositories", 1)

    await registry.ctx.db.write(spoil)
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    (wrong,) = [finding for finding in report.findings if finding.code == "count-wrong"]
    assert wrong.subjects == (
        "repository:6 bytes +3",
        "repository:2 tags -5",
        f"namespace:{registry.namespace} repositories -1",
        f"namespace:{registry.namespace} bytes -3",
    )
    assert (await doctor.repair(registry.ctx, report))["counts_corrected"] == 3
    assert "count-wrong" not in codes(await doctor.examine(registry.ctx, settle_seconds=0))


@scenario()
async def test_the_count_of_many_repositories_costs_few_statements(registry):
    for number in range(20):
        await registry.push_blob(f"app{number}", b"layer")
    statistics = registry.ctx.db.statistics
    before = statistics.counts()
    await doctor.examine(registry.ctx, settle_seconds=0)
    assert (statistics.counts() - before).statements < 60


@scenario()
async def test_doctor_finds_nothing_wrong_with_a_sound_registry(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await session_with(registry, b"half a layer")
    report = await doctor.examine(registry.ctx, settle_seconds=0)
    assert report.findings == ()
    assert report.is_clean


@scenario()
async def test_doctor_says_that_the_collector_is_behind(registry):
    await registry.push_blob("app", b"layer")
    await registry.age(3 * DAY)
    assert "collector-behind" in codes(await doctor.examine(registry.ctx, quick=True))
    await collect(registry.ctx)
    assert codes(await doctor.examine(registry.ctx, quick=True)) == set()


@scenario(gc__untagged_after="1d")
async def test_reviews_that_got_lost_are_made_again(registry):
    untagged = await registry.push_image("app", [b"untagged"])
    deleted = await registry.push_image("app", [b"deleted"], "v1")
    await registry.push_blob("app", b"idle link")
    await registry.push_blob("app", b"unlinked")
    await registry.push_blob("gone", b"in a deleted repository")
    await registry.delete_manifest("app", str(Digest.of(deleted)))
    await registry.delete_repository("gone")

    def lose(conn):
        unlinked = sa.select(blobs.c.id).where(blobs.c.digest == str(Digest.of(b"unlinked")))
        conn.execute(sa.delete(repository_blobs).where(repository_blobs.c.blob_id.in_(unlinked)))
        conn.execute(sa.delete(reviews))

    await registry.ctx.db.write(lose)
    await registry.age(8 * DAY)
    assert await restore_reviews(registry.ctx) >= 5
    for _ in range(4):
        await registry.age(8 * DAY)
        await collect(registry.ctx)
    assert untagged
    assert await registry.blob_rows() == {}
    assert not registry.store.objects
