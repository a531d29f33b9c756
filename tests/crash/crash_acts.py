"""What scenarios are made of: acts, and what deployments hold before them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crash_world import World, restart_upload_of

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
    quick_steps: int = 8  # killed at in `make test`
    lost: frozenset[str] = (
        frozenset()
    )  # digests whose bytes nobody can have before the acts are over
    findings: frozenset[str] = (
        frozenset()
    )  # what the doctor may find until then, beside what any crash leaves


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
