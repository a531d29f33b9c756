"""What a client or the operator does while the process is killed: short acts, each acknowledged when it returns.

Every act may be done again after a restart, as a client does that got no answer; `done_by` are the refusals that then mean that it
had been done after all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crash_world import WEEK, World, restart_upload_of

from entrepot.capabilities.content import deleting, uploading
from entrepot.capabilities.operations import collector, undelete
from entrepot.model.access import SYSTEM
from entrepot.model.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameTaken,
    RepositoryUnknown,
    UploadUnknown,
)
from entrepot.oci.digest import Digest
from registry_in_memory import image, index


@dataclass(frozen=True, slots=True)
class Act:
    """One request. What `do` returns is what the client was told."""

    name: str
    do: Callable[[World], Awaitable[Any]]
    done_by: tuple[type[Exception], ...] = ()
    in_steps: bool = False  # more than one transaction: a part of it may be seen


@dataclass(frozen=True, slots=True)
class Scenario:
    """Acts on a prepared deployment."""

    name: str
    prepare: Callable[[World], Awaitable[None]]
    acts: Sequence[Act]


LAYER = bytes(range(256)) * 20
SMALL = b"a small layer"
OTHER = b"another layer"
CONFIG = b"{}"
FIRST = image([LAYER, SMALL], note="first")
SECOND = image([LAYER, OTHER], note="second")
LIST = index([FIRST, SECOND])
SIGNATURE = image([b"signature"], subject=LIST)


def digest(content: bytes) -> Digest:
    return Digest.of(content)


async def nothing(_world: World) -> None:
    """An empty deployment."""


async def with_layers(world: World) -> None:
    for content in (LAYER, SMALL, OTHER, CONFIG, b"signature"):
        await world.push_blob("app", content)


async def with_images(world: World) -> None:
    await with_layers(world)
    await world.push_manifest("app", FIRST, "one")
    await world.push_manifest("app", SECOND, "two")
    await world.push_manifest("app", LIST, "list")
    await world.push_manifest("app", SIGNATURE)
    await world.push_image("other", [LAYER], "latest")


# -- uploads ----------------------------------------------------------------------------------------------------------


def sending(upto: int) -> Callable[[World], Awaitable[str]]:
    """A PATCH; after a restart to the same session, from where the server says."""

    async def do(world: World) -> str:
        upload = await restart_upload_of(world, "app", LAYER, world.memory.get("start"))
        world.memory["start"] = upload
        await world.send("app", upload, LAYER, upto=upto)
        return upload

    return do


async def commit(world: World) -> None:
    if await world.has_blob("app", LAYER):
        return
    upload = await restart_upload_of(world, "app", LAYER, world.memory.get("start"))
    await world.commit("app", upload, LAYER)


UPLOAD = Scenario(
    "upload in chunks",
    nothing,
    [
        Act("start", lambda world: world.start("app")),
        Act("chunk", sending(2000)),
        Act("next chunk", sending(4500)),
        Act("commit", commit),
    ],
)


async def drop_own_upload(world: World) -> None:
    await uploading.cancel(world.ctx, SYSTEM, world.place("app"), world.memory["chunk"])


CANCEL = Scenario(
    "upload given up",
    nothing,
    [
        Act("start", lambda world: world.start("app")),
        Act("chunk", sending(2000)),
        Act("cancel", drop_own_upload, (UploadUnknown, RepositoryUnknown)),
    ],
)

WHOLE = Scenario(
    "blob in one request",
    nothing,
    [
        Act("post", lambda world: world.push_blob("app", LAYER)),
        Act("post elsewhere", lambda world: world.push_blob("elsewhere", LAYER)),
        Act("mount", lambda world: world.mount("third", str(digest(LAYER)), "app")),
        Act("empty blob", lambda world: world.push_blob("app", b"")),
    ],
)

# -- manifests and tags -----------------------------------------------------------------------------------------------

PUSH = Scenario(
    "manifests",
    with_layers,
    [
        Act("push", lambda world: world.push_manifest("app", FIRST, "latest")),
        Act("move the tag", lambda world: world.push_manifest("app", SECOND, "latest")),
        Act("index with two tags", lambda world: world.push_manifest("app", LIST, "a", "b")),
        Act("referrer", lambda world: world.push_manifest("app", SIGNATURE)),
        Act("move it back", lambda world: world.push_manifest("app", FIRST, "latest", "a")),
    ],
)

DELETE = Scenario(
    "deletions",
    with_images,
    [
        Act("tag", lambda world: world.delete_tag("app", "one"), (ManifestUnknown,)),
        Act(
            "index",
            lambda world: world.delete_manifest("app", str(digest(LIST))),
            (ManifestUnknown,),
        ),
        Act(
            "image with its tag",
            lambda world: world.delete_manifest("app", str(digest(SECOND))),
            (ManifestUnknown,),
        ),
        Act(
            "blob",
            lambda world: deleting.delete_blob(
                world.ctx, SYSTEM, world.place("app"), digest(OTHER)
            ),
            (BlobUnknown,),
        ),
        Act("repository", lambda world: world.delete_repository("app"), (RepositoryUnknown,)),
    ],
)

# -- afterwards -------------------------------------------------------------------------------------------------------


async def with_deletions(world: World) -> None:
    """Nothing is left of `app`; `kept` loses a tag, a manifest and a blob; `other` stays and shares a layer with both."""
    await with_images(world)
    await world.push_image("kept", [LAYER, b"kept"], "latest", note="kept")
    await world.push_image("kept", [SMALL, b"gone"], "gone", note="gone")
    await world.push_blob("kept", b"never used")
    await world.push_manifest("kept", image([LAYER], note="moved"), "latest")
    await world.delete_manifest("kept", str(digest(image([SMALL, b"gone"], note="gone"))))
    await world.delete_repository("app")
    await world.age(WEEK)


async def collect(world: World) -> dict[str, Any]:
    return (await collector.collect(world.ctx)).summary()


COLLECT = Scenario("collection", with_deletions, [Act("collect", collect, in_steps=True)])


async def pushed_again(world: World) -> None:
    await world.push_image("app", [LAYER, SMALL], "latest", note="again")


COLLECT_AND_PUSH = Scenario(
    "push of what is being collected",
    with_deletions,
    [Act("collect", collect, in_steps=True), Act("push", pushed_again, in_steps=True)],
)


async def with_losses(world: World) -> None:
    await with_images(world)
    await world.delete_tag("app", "one")
    await world.delete_manifest("app", str(digest(LIST)))
    await world.delete_manifest("app", str(digest(SECOND)))
    await world.delete_repository("other")


UNDELETE = Scenario(
    "undelete",
    with_losses,
    [
        Act(
            "tag",
            lambda world: undelete.restore_tag(world.ctx, SYSTEM, world.place("app"), "one"),
            (NameTaken,),
        ),
        Act(
            "index with its image",
            lambda world: undelete.restore_manifest(
                world.ctx, SYSTEM, world.place("app"), digest(LIST)
            ),
        ),
        Act(
            "everything",
            lambda world: undelete.restore_content(world.ctx, SYSTEM, world.place("app")),
        ),
        Act(
            "repository",
            lambda world: undelete.restore_repository(world.ctx, SYSTEM, world.place("other")),
            (NameTaken,),
        ),
    ],
)

SCENARIOS = {
    one.name: one
    for one in (UPLOAD, CANCEL, WHOLE, PUSH, DELETE, COLLECT, COLLECT_AND_PUSH, UNDELETE)
}
