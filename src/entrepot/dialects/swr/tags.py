"""Tags of a repository: listed with their manifests, made from another, deleted."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from entrepot.capabilities.content import copying, deleting, tag_listing
from entrepot.capabilities.content.copying import DuplicateImage
from entrepot.capabilities.content.deleting import EndTags
from entrepot.capabilities.content.tag_listing import ListTagRows, TagsOf
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import paging, shapes
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Nothing, OfRepository, Text, shown
from entrepot.model.content import TagRow
from entrepot.model.errors import NameTaken
from entrepot.oci.descriptor import INDEX_TYPES

_SORTS: Final = {"updated_at": "pushed_at", "updated_time": "pushed_at", "tag": "name"}
_COLUMN_WRONG: Final = "4001025"


class ListRepositoryTags(OfRepository, frozen=True, kw_only=True):
    """List its tags, the last pushed first. `tag`: only this one."""

    tag: Text = ""
    limit: Text | None = None
    offset: Text | None = None
    order_column: Text = ""
    order_type: Literal["asc", "desc"] | None = None

    def to_command(self, asked: Asked) -> ListTagRows:
        """Column and direction belong together: one alone is ignored."""
        sort, descending = sorting(self.order_column, self.order_type)
        return ListTagRows(
            self.place(asked),
            name=self.tag,
            sort=sort,
            descending=descending,
            window=paging.window(self.limit, self.offset, default=None),
        )


def sorting(column: str, direction: str | None) -> tuple[str, bool]:
    """Our column, and whether it descends. Raises Refusal for a column that is not known."""
    if column and column not in _SORTS:
        raise Refusal(_COLUMN_WRONG, f"order_column: expected one of {', '.join(_SORTS)}")
    if not column or direction is None:
        return "pushed_at", True
    return _SORTS[column], direction == "desc"


class OfTag(OfRepository, frozen=True, kw_only=True):
    """A request about one tag."""

    tag: Text


class ShowRepoTag(OfTag, frozen=True, kw_only=True):
    """Show one."""

    def to_command(self, asked: Asked) -> ListTagRows:
        """By name."""
        return ListTagRows(self.place(asked), name=self.tag)


class DeleteRepoTag(OfTag, frozen=True, kw_only=True):
    """Delete the tag; other tags of the same image stay."""

    def to_command(self, asked: Asked) -> EndTags:
        """One."""
        return EndTags(self.place(asked), (self.tag,))


class CreateRepoTag(OfRepository, frozen=True, kw_only=True):
    """Give an image another tag."""

    source_tag: Text
    destination_tag: Text
    override: bool = False

    def to_command(self, asked: Asked) -> DuplicateImage:
        """In the same repository."""
        place = self.place(asked)
        return DuplicateImage(
            place, self.source_tag, place, self.destination_tag, replace=self.override
        )


class Image(Answers, frozen=True, kw_only=True):
    """A tag. `tag_type`: 0 a manifest, 1 an index."""

    id: int
    repo_id: int
    image_id: str
    manifest: str
    digest: str
    schema: int
    path: str
    internal_path: str
    size: int
    is_trusted: bool
    created: str
    updated: str
    deleted: str | None
    domain_id: str
    scanned: bool
    tag_type: int


class ListedTag(Image, frozen=True, kw_only=True):
    """In lists the name is capital."""

    Tag: str


class ShownTag(Image, frozen=True, kw_only=True):
    """Alone it is not."""

    tag: str

    @classmethod
    def of(cls, result: TagsOf, asked: Asked) -> "ShownTag":
        """As it is."""
        return cls.one(result, result.page.rows[0], asked)

    @classmethod
    def one(cls, result: TagsOf, row: TagRow, asked: Asked) -> "ShownTag":
        """One of several."""
        return cls(tag=row.name, **_facts(result, row, asked))


class ListedTags(shapes.Rows, frozen=True, kw_only=True):
    """A page of them."""

    rows: Sequence[ListedTag]

    @classmethod
    def of(cls, result: TagsOf, asked: Asked) -> "ListedTags":
        """As they are."""
        rows = [ListedTag(Tag=one.name, **_facts(result, one, asked)) for one in result.page.rows]
        return cls(rows=rows, offset=result.page.offset, total=result.page.total)


def given(result: TagsOf) -> str:
    """The repository of the manifests that an answer tells; empty: it tells none."""
    tells = any(one.payload for one in result.page.rows)
    return result.repository.full_name if tells else ""


def _facts(result: TagsOf, one: TagRow, asked: Asked) -> dict[str, Any]:
    address = f"{asked.registry}/{result.repository.full_name}:{one.name}"
    return {
        "id": one.id,
        "repo_id": result.repository.id,
        "image_id": one.config_digest.partition(":")[2],
        "manifest": one.payload.decode(errors="replace"),
        "digest": one.digest,
        "schema": 2,
        "path": address,
        "internal_path": address,
        "size": one.size,
        "is_trusted": False,
        "created": shown(one.set_at),
        "updated": shown(one.pushed_at),
        "deleted": None,
        "domain_id": asked.tenant_public_id,
        "scanned": False,
        "tag_type": int(one.media_type in INDEX_TYPES),
    }


_ALL: Final = "/v2/manage/namespaces/{namespace}/repos/{repository}/tags"
_ONE: Final = f"{_ALL}/{{tag}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation("ListRepositoryTags", ListRepositoryTags, tag_listing.list_tag_rows, ListedTags),
        "swr:repo:listRepoTags",
        filters=frozenset({"offset", "limit", "order_column", "order_type", "tag"}),
        gives=given,
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateRepoTag",
            CreateRepoTag,
            copying.duplicate_image,
            Nothing,
            changes=True,
            is_documented=False,
            codes={NameTaken: "4090060"},
        ),
        "swr:repo:createRepoTag",
        201,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation(
            "ShowRepoTag", ShowRepoTag, tag_listing.show_tag_row, ShownTag, is_documented=False
        ),
        "swr:repo:listRepoTags",
        gives=given,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeleteRepoTag", DeleteRepoTag, deleting.end_tags, Nothing, changes=True),
        "swr:repo:deleteRepoTag",
        204,
    ),
)
