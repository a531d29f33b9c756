"""Scenarios of upkeep: expiry of upload sessions, store and database brought to agree, undelete beyond one transaction."""

import os
from pathlib import Path

import sqlalchemy as sa
from crash_acts import (
    FIRST,
    LAYER,
    LIST,
    OTHER,
    SECOND,
    SIGNATURE,
    SMALL,
    Act,
    Scenario,
    commit,
    digest,
    sending,
    with_images,
)
from crash_retention import RETAIN
from crash_world import WEEK, World

from entrepot.capabilities.content import uploading
from entrepot.capabilities.operations import (
    collector,
    comparing,
    doctor,
    expiry,
    reconcile,
    undelete,
)
from entrepot.metadata import collection, counters, inventory, schema, uploads
from entrepot.metadata.database import Connection, now
from entrepot.model.access import SYSTEM
from entrepot.model.content import UploadSession
from entrepot.model.errors import ManifestUnknown
from entrepot.model.ids import Micros
from entrepot.ports.blobs import ObjectKey, Upload
from registry_in_memory import image

QUICK_STEPS = 4

# -- expiry -----------------------------------------------------------------------------------------------------------


async def _idle_upload(world: World, path: str, *, upto: int) -> UploadSession:
    """A session with so many bytes that nobody goes on with."""
    upload = await world.start(path)
    if upto:
        await world.send(path, upload, LAYER, upto=upto)
    return await uploading.get_upload(world.ctx, SYSTEM, world.place(path), upload)


def _taken_up(world: World, session: UploadSession) -> Upload:
    key = ObjectKey(session.object_key)
    return world.ctx.blobs.resume(key, state=session.store_state, offset=session.offset)


async def with_idle_uploads(world: World) -> None:
    """Sessions as clients and killed servers leave them, and one of a repository that is deleted."""
    await world.push_blob("app", SMALL)
    await _idle_upload(world, "app", upto=0)
    await _idle_upload(world, "app", upto=2000)
    unrecorded = _taken_up(world, await _idle_upload(world, "app", upto=1000))
    unrecorded.write(memoryview(b"more than the record says"))
    unrecorded.close()
    finished = _taken_up(world, await _idle_upload(world, "app", upto=len(LAYER)))
    finished.finish()
    finished.close()
    await _idle_upload(world, "gone", upto=3000)
    await world.delete_repository("gone")
    await world.age(WEEK)


async def expire(world: World) -> None:
    await expiry.expire_sessions(world.ctx)
    assert await world.ctx.db.read(_idle) == []


def _idle(conn: Connection) -> list[UploadSession]:
    """Sessions that should be closed."""
    hour_ago = collection.past(conn, 3600.0)
    return [
        *uploads.idle_since(conn, hour_ago, limit=9),
        *inventory.sessions_of_deleted(conn, hour_ago, limit=9),
    ]


EXPIRE = Scenario(
    "expiry of uploads",
    with_idle_uploads,
    [
        Act("start", lambda world: world.start("app")),
        Act("chunk", sending(2000)),
        Act("expire", expire),
        Act("commit", commit),
    ],
    quick_steps=QUICK_STEPS,
)

# -- store and database -----------------------------------------------------------------------------------------------


def _object_without_row(world: World, content: bytes) -> None:
    upload = world.ctx.blobs.begin(uploading.new_key())
    upload.write(memoryview(content))
    upload.finish()
    upload.close()


def _upload_without_session(world: World) -> None:
    upload = world.ctx.blobs.begin(uploading.new_key())
    upload.write(memoryview(LAYER))
    upload.close()


UNUSED = b"never used"


async def with_differences(world: World) -> None:
    """What crashes and restored backups leave: more in the store, less of sessions, an empty queue. Nothing pushed is lost."""
    await with_images(world)
    await world.push_image("kept", [LAYER, b"kept"], "latest")
    await world.push_blob("kept", UNUSED)
    for content in (LAYER, b"an object that nobody knows"):
        _object_without_row(world, content)
    _upload_without_session(world)
    session = await _idle_upload(world, "app", upto=2000)
    world.ctx.blobs.abandon(ObjectKey(session.object_key), state=session.store_state)
    await world.delete_manifest("app", str(digest(LIST)))
    await world.delete_manifest("app", str(digest(SECOND)))
    await world.delete_repository("other")
    await world.ctx.db.write(lambda conn: conn.execute(sa.delete(schema.reviews)).rowcount)
    await world.age(WEEK)


async def agree(world: World) -> None:
    await reconcile.reconcile(world.hurried(), settle_seconds=0.0)
    found = await comparing.compare(world.ctx, settle_seconds=0.0)
    assert [found.orphans, found.missing, found.misfits] == [[], [], []]
    assert [found.fileless, found.leftovers] == [[], []]


async def collect_all(world: World) -> None:
    """What reconciliation put into the queue again is taken: nothing is left that no repository shows."""
    await collector.collect(world.hurried())
    digests = await world.ctx.db.read(
        lambda conn: set(conn.execute(sa.select(schema.blobs.c.digest)).scalars())
    )
    shown = {one for found in (await world.served()).values() for one in found["blobs"]}
    assert digests == shown
    assert not digests & {str(digest(content)) for content in (OTHER, UNUSED)}


RECONCILE = Scenario(
    "reconciliation",
    with_differences,
    [Act("reconcile", agree), Act("collect", collect_all, in_steps=True)],
    quick_steps=QUICK_STEPS,
    findings=frozenset({"session-lost"}),
)


def _count_wrong(conn: Connection) -> None:
    for repository in conn.execute(sa.select(schema.repositories.c.id)).scalars().all():
        counters.add(conn, "repository", repository, "bytes", 1000)
        counters.add(conn, "repository", repository, "tags", -3)


async def with_damage(world: World) -> None:
    """One object is gone, one is cut, counts are wrong."""
    await with_images(world)
    _object_without_row(world, b"an object that nobody knows")
    keys = await world.ctx.db.read(
        lambda conn: dict(
            conn.execute(sa.select(schema.blobs.c.digest, schema.blobs.c.object_key)).tuples().all()
        )
    )
    world.ctx.blobs.delete(ObjectKey(keys[str(digest(SMALL))]))
    (cut,) = (world.folder / "data").rglob(keys[str(digest(OTHER))])
    os.truncate(cut, 3)
    await world.ctx.db.write(_count_wrong)
    await world.age(WEEK)


async def repair(world: World) -> None:
    """`entrepot doctor --repair`."""
    report = await doctor.examine(world.ctx, settle_seconds=0.0)
    await doctor.repair(world.ctx, report)


REPAIR = Scenario(
    "repair of a damaged store",
    with_damage,
    [
        Act("repair", repair, in_steps=True),
        Act("push the lost layer", lambda world: world.push_blob("app", SMALL)),
        Act("push the cut layer", lambda world: world.push_blob("app", OTHER)),
    ],
    quick_steps=QUICK_STEPS,
    lost=frozenset(str(digest(content)) for content in (SMALL, OTHER)),
    findings=frozenset({"object-missing", "object-size", "quarantined"}),
)

# -- undelete ---------------------------------------------------------------------------------------------------------


NEWER = image([b"newer"], note="newer")


def _moment(world: World) -> Path:
    return world.folder / "moment"


async def with_many_tags_lost(world: World) -> None:
    """More tags than one transaction brings back, and one that means something else since."""
    await with_images(world)
    await world.push_manifest("app", FIRST, *(f"n{number}" for number in range(60)))
    moment = await world.ctx.db.read(now)
    _moment(world).write_text(str(moment))
    await world.push_manifest("app", SECOND, "one")
    await world.push_blob("app", b"newer")
    await world.push_manifest("app", NEWER, "newer")
    await world.delete_manifest("app", str(digest(LIST)))
    await world.delete_manifest("app", str(digest(FIRST)))


async def back_to_the_moment(world: World) -> None:
    at = Micros(int(_moment(world).read_text()))
    await undelete.restore_content(world.ctx, SYSTEM, world.place("app"), at=at)
    tags = (await world.served())["team/app"]["tags"]
    assert {tags[f"n{number}"] for number in range(60)} == {str(digest(FIRST))} == {tags["one"]}


TO_A_MOMENT = Scenario(
    "undelete to a moment",
    with_many_tags_lost,
    [Act("everything", back_to_the_moment, in_steps=True)],
    quick_steps=QUICK_STEPS,
)


async def with_old_losses(world: World) -> None:
    await with_images(world)
    await world.push_image("kept", [SMALL], "latest")
    for one in (LIST, SECOND):
        await world.delete_manifest("app", str(digest(one)))
    await world.age(WEEK)


async def restore_and_collect(world: World) -> None:
    """What the collector has not taken comes back whole, wherever it was stopped; then it is deleted again, and taken."""
    await undelete.restore_content(world.ctx, SYSTEM, world.place("app"))
    await world.pull_everything()
    for one in (LIST, SECOND, SIGNATURE):
        try:
            await world.delete_manifest("app", str(digest(one)))
        except ManifestUnknown:
            continue
    await collector.collect(world.hurried())


DURING_COLLECTION = Scenario(
    "undelete of what is being collected",
    with_old_losses,
    [Act("restore, delete, collect", restore_and_collect, in_steps=True)],
    quick_steps=QUICK_STEPS,
)
UPKEEP = (EXPIRE, RECONCILE, REPAIR, TO_A_MOMENT, DURING_COLLECTION, RETAIN)
