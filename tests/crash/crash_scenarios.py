"""What a client or the operator does while the process is killed: short acts, each acknowledged when it returns.

Every act may be done again after a restart, as a client does that got no answer; `done_by` are the refusals that then mean that it
had been done after all.
"""

from typing import Any

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
    nothing,
    sending,
    with_images,
    with_layers,
)
from crash_upkeep import UPKEEP
from crash_world import WEEK, World

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
from registry_in_memory import image

# -- uploads ----------------------------------------------------------------------------------------------------------


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
    for one in (UPLOAD, CANCEL, WHOLE, PUSH, DELETE, COLLECT, COLLECT_AND_PUSH, UNDELETE, *UPKEEP)
}
