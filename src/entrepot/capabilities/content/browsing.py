"""What is there, in pages as the vendors' APIs count them: repositories of an instance, tags of a repository, one image's documents."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from entrepot.capabilities.content.place import Place, existing
from entrepot.capabilities.content.pulling import find_blob, get_manifest, open_blob
from entrepot.capabilities.context import Context
from entrepot.metadata import browsing, tag_pages
from entrepot.metadata.browsing import RepositoryFilter, Slice
from entrepot.metadata.database import Connection
from entrepot.metadata.tag_pages import TagFilter
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Blob, RepositoryDetails, TagDetails
from entrepot.model.errors import BlobTooLarge
from entrepot.model.ids import InstanceId, TenantId
from entrepot.oci.manifest import parse

T = TypeVar("T")
MAX_CONFIG: Final = 4 * 1024 * 1024  # bytes of a config that is shown as a text


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """One page, how many rows there are on all, and how many before this page."""

    rows: Sequence[T]
    total: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class BrowseRepositories:
    """The tenant's repositories in the instance. `namespace`, `name`: parts of their names; `sort`: one of `browsing.SORTS`.

    `category`, `is_public`: those that are so.
    """

    instance: InstanceId
    tenant: TenantId
    namespace: str = ""
    name: str = ""
    sort: str = "name"
    descending: bool = False
    window: Slice = field(default_factory=Slice)
    category: str = ""
    is_public: bool | None = None


@dataclass(frozen=True, slots=True)
class BrowseTags:
    """Tags of a repository. `name`: part of the tag, or (`is_exact`) the whole; `digest`: of what they mean."""

    place: Place
    name: str = ""
    is_exact: bool = False
    digest: str = ""
    window: Slice = field(default_factory=Slice)


@dataclass(frozen=True, slots=True)
class ImageNamed:
    """An image by its tag."""

    place: Place
    tag: str


@dataclass(frozen=True, slots=True)
class ImageDocuments:
    """What an image is described by, as stored. `config` empty: it has none that is a text (an index, an artifact)."""

    manifest: str
    config: str


async def browse_repositories(
    ctx: Context, caller: Caller, command: BrowseRepositories
) -> Rows[RepositoryDetails]:
    """Those of them that the caller may read. Callers without any right see none."""
    return await ctx.db.read(lambda conn: repositories_seen(ctx, conn, caller, command))


def repositories_seen(
    ctx: Context, conn: Connection, caller: Caller, command: BrowseRepositories
) -> Rows[RepositoryDetails]:
    """Likewise, in a transaction."""
    listing = ctx.access.visible_repositories(
        conn, caller, include_public=False, instance=command.instance
    )
    asked = RepositoryFilter(
        command.tenant,
        command.instance,
        namespace=command.namespace,
        name=command.name,
        visibility=listing.visibility,
        sort=command.sort,
        descending=command.descending,
        category=command.category,
        is_public=command.is_public,
    )
    if listing.is_exact:
        return Rows(*browsing.repositories_page(conn, asked, command.window), command.window.offset)
    everything, _ = browsing.repositories_page(conn, asked, Slice())
    seen = [one.repository.id for one in everything if listing.admits(one.repository)]
    first = command.window.offset
    page = browsing.details_of(conn, seen[first : first + command.window.limit])
    return Rows(page, len(seen), first)


async def browse_tags(ctx: Context, caller: Caller, command: BrowseTags) -> Rows[TagDetails]:
    """A page of them. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    repository = await existing(ctx, caller, Permission.PULL, command.place)
    asked = TagFilter(
        repository.id, name=command.name, is_exact=command.is_exact, digest=command.digest
    )
    return Rows(*await ctx.db.read(lambda conn: tag_pages.tags_page(conn, asked, command.window)))


async def show_image(ctx: Context, caller: Caller, command: ImageNamed) -> ImageDocuments:
    """Its manifest and config. Raises Denied, RepositoryUnknown, ManifestUnknown, BlobTooLarge, ObjectMissing."""
    found = await get_manifest(ctx, caller, command.place, command.tag)
    manifest = parse(found.media_type, found.payload)
    config = ""
    if manifest.config is not None:
        blob = await find_blob(ctx, caller, command.place, manifest.config.digest)
        config = await _text(ctx, blob)
    return ImageDocuments(found.payload.decode(errors="replace"), config)


async def _text(ctx: Context, blob: Blob) -> str:
    if blob.size > MAX_CONFIG:
        raise BlobTooLarge(MAX_CONFIG)
    reader = await open_blob(ctx, blob)
    try:
        content = await ctx.blocking(lambda: b"".join(map(bytes, reader.chunks())))
    finally:
        await ctx.blocking(reader.close)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""
