"""Undelete, on both engines: what comes back, what is refused, and that the counts follow."""

import asyncio
import functools
import time

import pytest
import sqlalchemy as sa

from entrepot.capabilities.operations import doctor
from entrepot.capabilities.operations.collector import collect
from entrepot.capabilities.operations.undelete import (
    list_restorable,
    restore_content,
    restore_manifest,
    restore_repository,
    restore_tag,
)
from entrepot.metadata.schema import blobs, events, repository_blobs
from entrepot.model.access import ANONYMOUS, SYSTEM
from entrepot.model.errors import (
    Denied,
    ManifestUnknown,
    NameTaken,
    ReferencesUnknown,
    RepositoryUnknown,
)
from entrepot.model.ids import Micros
from entrepot.oci.digest import Digest
from registry_in_memory import index, open_registry

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY


@pytest.fixture
def play(migrated_database, tmp_path):
    """Runs a scenario; whatever was restored, counts are right in the end."""

    def run(scenario):
        async def body():
            async with open_registry(migrated_database, tmp_path) as found:
                await scenario(found)
                report = await doctor.examine(found.ctx, settle_seconds=0)
                assert "count-wrong" not in {finding.code for finding in report.findings}

        return asyncio.run(body())

    return run


def scenario(test):
    """The test is a coroutine that is given the registry."""

    @functools.wraps(test)
    def wrapped(play):
        play(test)

    del wrapped.__wrapped__
    return wrapped


def ago(seconds: float) -> Micros:
    return Micros(time.time_ns() // 1000 - int(seconds * 1e6))


@scenario
async def test_a_deleted_tag_means_again_what_it_meant_last(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_tag("app", "v1")
    done = await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v1")
    assert (done.tags, done.manifests) == (("v1",), ())
    assert await registry.pull("app", "v1") == payload


@scenario
async def test_a_tag_means_again_what_it_meant_at_a_moment(registry):
    old = await registry.push_image("app", [b"old"], "v")
    await registry.age(2 * HOUR)
    await registry.push_image("app", [b"new"], "v")
    with pytest.raises(NameTaken):
        await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v")
    await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v", at=ago(HOUR))
    assert await registry.pull("app", "v") == old
    with pytest.raises(ManifestUnknown):
        await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v", at=ago(DAY))


@scenario
async def test_a_deleted_manifest_comes_back_with_its_tags(registry):
    payload = await registry.push_image("app", [b"layer"], "v1", "v2")
    digest = Digest.of(payload)
    await registry.delete_manifest("app", str(digest))
    await registry.push_image("app", [b"other"], "v2")
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    done = await restore_manifest(registry.ctx, SYSTEM, registry.place("app"), digest)
    assert (done.tags, done.taken, done.manifests) == (("v1",), ("v2",), (str(digest),))
    assert await registry.pull("app", "v1") == payload
    assert (
        await restore_manifest(registry.ctx, SYSTEM, registry.place("app"), digest) == type(done)()
    )


@scenario
async def test_an_index_comes_back_with_what_it_lists(registry):
    child = await registry.push_image("app", [b"layer"])
    listing = index([child])
    await registry.push_manifest("app", listing, "multi")
    await registry.delete_manifest("app", str(Digest.of(listing)))
    await registry.delete_manifest("app", str(Digest.of(child)))
    done = await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "multi")
    assert sorted(done.manifests) == sorted(str(Digest.of(one)) for one in (child, listing))
    assert await registry.pull("app", "multi") == listing


def signer(payload: bytes, suffix: str = ".sig") -> str:
    return str(Digest.of(payload)).replace(":", "-") + suffix


@scenario
async def test_signatures_that_went_with_a_tag_come_back_with_it(registry):
    child = await registry.push_image("app", [b"layer"])
    listing = index([child])
    await registry.push_manifest("app", listing, "v1")
    gone = {}
    for about in (listing, child):
        gone[signer(about)] = await registry.push_image("app", [b"s" + about], signer(about))
    above = gone[signer(child)]
    gone[signer(above, ".att")] = await registry.push_image("app", [b"att"], signer(above, ".att"))
    other = await registry.push_image("app", [b"other"], "other")
    await registry.push_image("app", [b"of another"], signer(other))
    await registry.push_image("app", [b"old"], signer(listing, ".sbom"))
    await registry.delete_tag("app", signer(listing, ".sbom"))
    await registry.age(HOUR)
    await registry.delete_tag("app", "v1")
    for name in (*gone, signer(other)):
        await registry.delete_tag("app", name)

    done = await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v1")

    assert done.tags[0] == "v1"
    assert sorted(done.tags[1:]) == sorted(gone)
    for name, payload in gone.items():
        assert await registry.pull("app", name) == payload


@scenario
async def test_a_signature_that_cannot_come_back_keeps_no_image_away(registry):
    image = await registry.push_image("app", [b"layer"], "v1")
    signature = await registry.push_image("app", [b"s"], signer(image))
    newer = await registry.push_image("app", [b"n"], signer(image, ".att"))
    await registry.delete_tag("app", "v1")
    await registry.delete_manifest("app", str(Digest.of(signature)))
    await registry.ctx.db.write(
        lambda conn: conn.execute(sa.delete(repository_blobs).where(_is_blob(b"s")))
    )
    done = await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v1")
    assert done.tags == ("v1",)
    assert [name for name, _ in done.failed] == [signer(image)]
    assert await registry.pull("app", signer(image, ".att")) == newer
    await doctor.repair(registry.ctx, await doctor.examine(registry.ctx, settle_seconds=0))


def _is_blob(content: bytes):
    found = sa.select(blobs.c.id).where(blobs.c.digest == str(Digest.of(content)))
    return repository_blobs.c.blob_id.in_(found)


@scenario
async def test_what_lost_a_blob_is_refused(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_manifest("app", str(Digest.of(payload)))
    await registry.ctx.db.write(lambda conn: conn.execute(sa.delete(repository_blobs)))
    with pytest.raises(ReferencesUnknown) as refused:
        await restore_manifest(registry.ctx, SYSTEM, registry.place("app"), Digest.of(payload))
    assert str(Digest.of(b"layer")) in refused.value.digests
    done = await restore_content(registry.ctx, SYSTEM, registry.place("app"))
    assert {name for name, _ in done.failed} == {"v1", str(Digest.of(payload))}
    assert done.manifests == ()
    await doctor.repair(registry.ctx, await doctor.examine(registry.ctx, settle_seconds=0))


@scenario
async def test_what_the_collector_took_is_refused(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_manifest("app", str(Digest.of(payload)))
    await registry.age(WEEK + HOUR)
    await collect(registry.ctx)
    with pytest.raises(ManifestUnknown):
        await restore_manifest(registry.ctx, SYSTEM, registry.place("app"), Digest.of(payload))
    with pytest.raises(ManifestUnknown):
        await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v1")


@scenario
async def test_all_of_a_repository_comes_back_as_it_was(registry):
    old = [await registry.push_image("app", [f"{n}".encode()], f"v{n}") for n in range(4)]
    await registry.age(2 * HOUR)
    for payload in old[:3]:
        await registry.delete_manifest("app", str(Digest.of(payload)))
    await registry.push_image("app", [b"new"], "v0", "v9")
    done = await restore_content(registry.ctx, SYSTEM, registry.place("app"), at=ago(HOUR))
    assert sorted(done.tags) == ["v0", "v1", "v2"]
    assert len(done.manifests) == 3
    for number, payload in enumerate(old):
        assert await registry.pull("app", f"v{number}") == payload
    assert await registry.pull("app", "v9")


@scenario
async def test_a_deleted_repository_comes_back(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_repository("app")
    await registry.age(WEEK - HOUR)
    await collect(registry.ctx)
    await restore_repository(registry.ctx, SYSTEM, registry.place("app"))
    assert await registry.pull("app", "v1") == payload
    await registry.age(30 * DAY)
    await collect(registry.ctx)
    assert await registry.pull("app", "v1") == payload


@scenario
async def test_a_deleted_repository_whose_name_is_taken_is_refused(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_repository("app")
    await registry.push_image("app", [b"new"], "v1")
    with pytest.raises(NameTaken):
        await restore_repository(registry.ctx, SYSTEM, registry.place("app"))
    with pytest.raises(RepositoryUnknown):
        await restore_repository(registry.ctx, SYSTEM, registry.place("never"))


@scenario
async def test_a_repository_that_is_being_purged_is_refused(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_repository("app")
    await registry.age(WEEK + HOUR)
    run = asyncio.ensure_future(collect(registry.ctx))
    await run
    with pytest.raises(RepositoryUnknown):
        await restore_repository(registry.ctx, SYSTEM, registry.place("app"))


@scenario
async def test_the_list_names_what_can_come_back(registry):
    payload = await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_manifest("app", str(Digest.of(payload)))
    found = await list_restorable(registry.ctx, SYSTEM, registry.place("app"))
    assert [one.digest for one in found.manifests] == [str(Digest.of(payload))]
    assert [one.name for one in found.tags] == ["v1"]
    await registry.delete_repository("app")
    found = await list_restorable(registry.ctx, SYSTEM, registry.place("app"))
    assert (len(found.repositories), len(found.manifests)) == (1, 0)


@scenario
async def test_a_restoration_is_an_event(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_tag("app", "v1")
    await restore_tag(registry.ctx, SYSTEM, registry.place("app"), "v1")
    rows = await registry.ctx.db.read(
        lambda conn: conn.execute(
            sa.select(events.c.tag).where(events.c.kind == "content.restored")
        ).all()
    )
    assert [row.tag for row in rows] == ["v1"]


@scenario
async def test_only_the_operator_may_undelete(registry):
    await registry.push_image("app", [b"layer"], "v1")
    await registry.delete_tag("app", "v1")
    with pytest.raises(Denied):
        await restore_tag(registry.ctx, ANONYMOUS, registry.place("app"), "v1")
