"""What the collector takes and what it leaves, on both engines: links, blobs, manifests, repositories, former tags."""

import asyncio
import functools

import pytest
import sqlalchemy as sa

from entrepot.capabilities.content import pulling, uploading
from entrepot.capabilities.operations import collector
from entrepot.capabilities.operations.collector import collect
from entrepot.metadata import counters, uploads
from entrepot.metadata.schema import (
    SCHEMA,
    blobs,
    manifests,
    repositories,
    repository_blobs,
    reviews,
    tags,
)
from entrepot.model.access import SYSTEM
from entrepot.model.errors import BlobUnknown, ManifestUnknown, StorageUnavailable
from entrepot.model.ids import RepositoryId, UploadId
from entrepot.oci.digest import Algorithm, Digest
from entrepot.ports.blobs import ObjectKey
from registry_in_memory import index, open_registry

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY


@pytest.fixture
def registry(migrated_database, tmp_path):
    """Runs a scenario against an open registry with the settings given."""

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
        def wrapped(registry):
            registry(test, **settings)

        del wrapped.__wrapped__
        return wrapped

    return decorate


async def count_of(registry, table, *which) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(*which)
    return await registry.ctx.db.read(lambda conn: conn.execute(query).scalar_one())


async def bytes_of(registry, path) -> tuple[int, int]:
    """Of the repository and of the namespace."""

    def read(conn):
        number = conn.execute(
            sa.select(repositories.c.id).where(repositories.c.full_name == f"team/{path}")
        ).scalar_one()
        return (
            counters.value(conn, "repository", number, "bytes"),
            counters.value(conn, "namespace", registry.namespace, "bytes"),
        )

    return await registry.ctx.db.read(read)


@scenario()
async def test_a_blob_that_no_manifest_names_goes_after_the_delay(registry):
    digest = await registry.push_blob("app", b"alone")
    await registry.age(DAY - 60)
    await collect(registry.ctx)
    assert await registry.pull_blob("app", digest) == b"alone"
    await registry.age(120)
    tally = await collect(registry.ctx)
    assert (tally.reclaimed_objects, tally.reclaimed_bytes) == (1, 5)
    assert not registry.store.objects
    assert await registry.blob_rows() == {}
    assert await bytes_of(registry, "app") == (0, 0)
    assert await count_of(registry, reviews) == 0


@scenario()
async def test_a_blob_that_a_manifest_names_stays(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.age(60 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", "v1") == payload


@scenario()
async def test_untagged_manifests_are_kept_when_nothing_says_otherwise(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_tag("app", "v1")
    await registry.age(400 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(payload))) == payload


@scenario()
async def test_a_deleted_manifest_goes_after_history_and_its_blobs_after_the_delay(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_manifest("app", str(Digest.of(payload)))
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, manifests) == 1
    await registry.age(2 * HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, manifests) == 0
    assert await count_of(registry, tags) == 0
    assert await count_of(registry, blobs) == 2
    await registry.age(DAY + 60)
    await collect(registry.ctx)
    assert await count_of(registry, blobs) == 0
    assert not registry.store.objects
    assert await bytes_of(registry, "app") == (0, 0)


@scenario()
async def test_a_blob_shared_by_two_repositories_loses_only_the_unneeded_link(registry):
    payload = await registry.push_image("a", [b"layer"], "v1")
    await registry.push_image("b", [b"layer"], "v1")
    await registry.delete_manifest("a", str(Digest.of(payload)))
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    await registry.age(DAY + HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, repository_blobs) == 2
    assert await registry.pull("b", "v1")
    with pytest.raises(BlobUnknown):
        await registry.pull_blob("a", str(Digest.of(b"layer")))
    ours, whole = await bytes_of(registry, "a")
    assert (ours, whole) == (0, len(payload) + len(b"layer") + 2)


@scenario()
async def test_an_open_upload_keeps_the_layers_pushed_before_it(registry):
    digest = await registry.push_blob("app", b"first layer")
    session = await uploading.start_upload(
        registry.ctx, SYSTEM, registry.place("app"), Algorithm.SHA256
    )
    for _ in range(3):
        await registry.age(DAY + HOUR)
        await collect(registry.ctx)
        assert await registry.pull_blob("app", digest)
    await uploading.cancel(registry.ctx, SYSTEM, registry.place("app"), session.id)
    await registry.age(DAY + HOUR)
    await collect(registry.ctx)
    assert await registry.blob_rows() == {}


@scenario()
async def test_an_upload_begun_long_after_keeps_nothing(registry):
    await registry.push_blob("app", b"first layer")
    await registry.age(DAY + HOUR)
    await uploading.start_upload(registry.ctx, SYSTEM, registry.place("app"), Algorithm.SHA256)
    await collect(registry.ctx)
    assert await registry.blob_rows() == {}


async def find(registry, digest):
    return await pulling.find_blob(
        registry.ctx, SYSTEM, registry.place("app"), Digest.parse(digest)
    )


async def confirm(registry, digest):
    """What HEAD does."""
    return await pulling.confirm_blob(
        registry.ctx, SYSTEM, registry.place("app"), Digest.parse(digest)
    )


@scenario()
async def test_asking_for_a_blob_postpones_a_review_that_is_near(registry):
    digest = await registry.push_blob("app", b"layer")
    await registry.age(DAY - HOUR)
    await confirm(registry, digest)
    await registry.age(12 * HOUR)
    await collect(registry.ctx)
    assert await registry.pull_blob("app", digest)
    await registry.age(2 * DAY)
    await collect(registry.ctx)
    assert await registry.blob_rows() == {}


@scenario()
async def test_asking_for_a_blob_writes_nothing_when_no_review_is_near(registry):
    digest = await registry.push_blob("app", b"young")
    await registry.push_image("app", [b"settled"], "v1")
    before = registry.ctx.db.statistics.counts().writes
    await confirm(registry, digest)
    assert registry.ctx.db.statistics.counts().writes == before
    await registry.age(2 * DAY)
    await collect(registry.ctx)
    before = registry.ctx.db.statistics.counts().writes
    await confirm(registry, str(Digest.of(b"settled")))
    assert registry.ctx.db.statistics.counts().writes == before


@scenario()
async def test_a_push_of_a_condemned_digest_stores_a_new_object(registry):
    await registry.push_blob("app", b"layer")
    (old,) = registry.store.objects
    await registry.age(2 * DAY)
    registry.store.delete = _failing
    await collect(registry.ctx)
    assert await registry.blob_rows() == {str(Digest.of(b"layer")): "condemned"}
    digest = await registry.push_blob("app", b"layer")
    assert await registry.pull_blob("app", digest) == b"layer"
    registry.store.delete = functools.partial(type(registry.store).delete, registry.store)
    await registry.age(HOUR)
    await collect(registry.ctx)
    assert old not in registry.store.objects
    assert await registry.blob_rows() == {digest: "live"}
    assert await registry.pull_blob("app", digest) == b"layer"


def _failing(key: ObjectKey) -> None:
    raise StorageUnavailable("deleting an object: the disk is away")


@scenario()
async def test_an_object_that_cannot_be_deleted_is_tried_later_and_later(registry):
    await registry.push_blob("app", b"layer")
    await registry.age(2 * DAY)
    registry.store.delete = _failing
    tally = await collect(registry.ctx)
    assert tally.failed == 1
    assert (await collect(registry.ctx)).failed == 0
    await registry.age(61)
    assert (await collect(registry.ctx)).failed == 1
    await registry.age(61)
    assert (await collect(registry.ctx)).failed == 0
    await registry.age(61)
    assert (await collect(registry.ctx)).failed == 1


@scenario()
async def test_a_review_that_fails_does_not_hold_up_the_others(registry):
    bad = await registry.push_blob("app", b"bad")
    await registry.push_blob("app", b"good")
    blob = await find(registry, bad)
    await registry.age(2 * DAY)
    whole = collector.settle_blob

    def broken(conn, number, candidates, *, rules):
        if number == blob.id:
            raise RuntimeError("a bug")
        return whole(conn, number, candidates, rules=rules)

    collector.settle_blob = broken
    try:
        tally = await collect(registry.ctx)
    finally:
        collector.settle_blob = whole
    assert tally.failed == 1
    assert await registry.blob_rows() == {bad: "live"}
    await registry.age(HOUR)
    await collect(registry.ctx)
    assert await registry.blob_rows() == {}


@scenario()
async def test_a_crash_after_condemning_is_taken_up(registry):
    await registry.push_blob("app", b"layer")
    await registry.ctx.db.write(
        lambda conn: [
            conn.execute(sa.delete(repository_blobs)),
            conn.execute(sa.delete(reviews)),
            conn.execute(sa.update(blobs).values(state="condemned", condemned_at=1)),
        ]
    )
    tally = await collect(registry.ctx)
    assert tally.reclaimed_objects == 1
    assert not registry.store.objects
    assert await registry.blob_rows() == {}


# -- manifests without a tag --------------------------------------------------------------------------------------------


@scenario(gc__untagged_after="10d")
async def test_untagged_manifests_go_when_the_setting_says_so(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.age(5 * DAY)
    await registry.delete_tag("app", "v1")
    await registry.age(9 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(payload)))
    await registry.age(2 * DAY)
    await collect(registry.ctx)
    with pytest.raises(ManifestUnknown):
        await registry.pull("app", str(Digest.of(payload)))
    assert await count_of(registry, manifests) == 1
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    await registry.age(DAY + HOUR)
    await collect(registry.ctx)
    assert not registry.store.objects
    assert await bytes_of(registry, "app") == (0, 0)


@scenario(gc__untagged_after="1d")
async def test_children_of_a_tagged_index_stay_and_go_after_it(registry):
    child = await registry.push_image("app", [b"layer"])
    listing = index([child])
    await registry.push_manifest("app", listing, "multi")
    await registry.age(30 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", "multi") == listing
    await registry.delete_manifest("app", str(Digest.of(listing)))
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(child)))
    for _ in range(4):
        await registry.age(WEEK + HOUR)
        await collect(registry.ctx)
    assert await count_of(registry, manifests) == 0
    assert not registry.store.objects


@scenario(gc__untagged_after="1d")
async def test_a_manifest_that_got_a_tag_again_stays(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_tag("app", "v1")
    await registry.age(DAY - HOUR)
    await registry.push_manifest("app", payload, "v2")
    await registry.age(30 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", "v2") == payload


@scenario()
async def test_referrers_go_with_their_subject(registry):
    subject = await registry.push_image("app", [b"layer"], "v1")
    signature = await registry.push_image("app", [b"signature"], subject=subject)
    await registry.push_image("app", [b"of the signature"], subject=signature)
    await registry.push_image("app", [b"kept by its tag"], "sbom", subject=subject)
    await registry.age(30 * DAY)
    await collect(registry.ctx)
    assert await count_of(registry, manifests) == 4
    await registry.delete_manifest("app", str(Digest.of(subject)))
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(signature)))
    for _ in range(4):
        await registry.age(WEEK + HOUR)
        await collect(registry.ctx)
    assert await count_of(registry, manifests) == 1
    assert await registry.pull("app", "sbom")
    assert len(registry.store.objects) == 2


@scenario(gc__untagged_after="1d")
async def test_referrers_of_a_living_subject_are_not_untagged_garbage(registry):
    subject = await registry.push_image("app", [b"layer"], "v1")
    signature = await registry.push_image("app", [b"signature"], subject=subject)
    await registry.age(30 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(signature)))


@scenario()
async def test_referrers_stay_when_their_subject_was_pushed_again(registry):
    subject = await registry.push_image("app", [b"layer"], "v1")
    signature = await registry.push_image("app", [b"signature"], subject=subject)
    await registry.delete_manifest("app", str(Digest.of(subject)))
    await registry.push_manifest("app", subject, "v1")
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    assert await registry.pull("app", str(Digest.of(signature)))
    assert await registry.pull("app", "v1")


# -- tags and repositories ----------------------------------------------------------------------------------------------


@scenario()
async def test_former_tags_are_forgotten_after_history(registry):
    await registry.push_image("app", [b"one"], "v")
    await registry.push_image("app", [b"two"], "v")
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, tags) == 2
    await registry.age(2 * HOUR)
    assert (await collect(registry.ctx)).past_tags == 1
    assert await count_of(registry, tags) == 1


@scenario()
async def test_a_deleted_repository_goes_after_history_leaving_nothing(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.push_image("app", [b"signature"], subject=payload)
    await registry.push_image("other", [b"layer"], "v1")
    await registry.delete_repository("app")
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, manifests) == 3
    await registry.age(2 * HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, repositories) == 1
    await registry.age(DAY + HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, manifests) == 1
    assert sorted(await registry.blob_rows()) == sorted(
        str(Digest.of(content)) for content in (b"layer", b"{}")
    )
    assert await registry.pull("other", "v1")
    ours, whole = await bytes_of(registry, "other")
    assert ours == whole
    for table in SCHEMA.tables.values():
        if "repository_id" in table.c and table.name not in ("events", "grants"):
            assert await count_of(registry, table, table.c.repository_id == 1) == 0, table.name


@scenario()
async def test_a_deleted_repository_waits_for_its_uploads(registry):
    await registry.push_blob("app", b"layer")
    session = await uploading.start_upload(
        registry.ctx, SYSTEM, registry.place("app"), Algorithm.SHA256
    )
    await registry.delete_repository("app")
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, repositories) == 1

    def close(conn):
        found = uploads.find(
            conn, UploadId(session.id), repository=RepositoryId(1), subject=SYSTEM.subject
        )
        uploads.remove(conn, found)

    await registry.ctx.db.write(close)
    await registry.age(2 * HOUR)
    await collect(registry.ctx)
    assert await count_of(registry, repositories) == 0


@scenario(gc__batch="1")
async def test_batches_of_one_come_to_the_same_end(registry):
    payload = await registry.push_image("app", [b"a", b"b", b"c"], "v1")
    await registry.delete_manifest("app", str(Digest.of(payload)))
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    await registry.age(2 * DAY)
    tally = await collect(registry.ctx)
    assert tally.reclaimed_objects == 4
    assert not registry.store.objects
