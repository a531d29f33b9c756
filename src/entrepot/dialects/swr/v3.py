"""Lists of the vendor's newer version, which only its SDK documents: pages by marker instead of offset.

A marker says how many rows came before: in a list that changes meanwhile a row may be missed or seen twice, as with offsets.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from entrepot.capabilities.access import shares
from entrepot.capabilities.access.shares import BrowseShared, SharedSummary
from entrepot.capabilities.content import summarizing, tag_listing
from entrepot.capabilities.content.browsing import BrowseRepositories, Rows
from entrepot.capabilities.content.tag_listing import ListTagRows, TagsOf
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import repositories, tags
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.repositories import Category
from entrepot.dialects.swr.shapes import Answers, Asks, OfRepository, Text, shown
from entrepot.metadata.browsing import Slice
from entrepot.model.content import RepositorySummary

Limit = Annotated[int, Meta(ge=1, le=1000)]
Marker = Annotated[int, Meta(ge=0, le=2**40)]
_PAGE: Final = 100
_MARKER_WRONG: Final = "4000056"


class ListRepoDetails(Asks, frozen=True, kw_only=True):
    """List those that the caller may read, the last changed first."""

    namespace: Text = ""
    name: Text = ""
    category: Category | None = None
    limit: Limit = _PAGE
    marker: Marker = 0
    is_public: bool | None = None

    def to_command(self, asked: Asked) -> BrowseRepositories:
        """The page behind the marker."""
        return BrowseRepositories(
            asked.instance.id,
            asked.tenant,
            namespace=self.namespace,
            name=self.name,
            sort="updated_at",
            descending=True,
            category=self.category or "",
            is_public=self.is_public,
            window=Slice(self.marker, self.limit),
        )


class RepositoryRow(Answers, frozen=True, kw_only=True):
    """A repository."""

    id: int
    name: str
    category: str
    description: str
    size: int
    is_public: bool
    num_images: int
    num_download: int
    created_at: str
    updated_at: str
    domain_name: str
    namespace_name: str
    status: bool

    @classmethod
    def of(cls, one: RepositorySummary, *, is_valid: bool = False) -> "RepositoryRow":
        """As it is."""
        details = one.details
        return cls(
            id=details.repository.id,
            name=details.repository.path,
            category=details.category or repositories.OTHER,
            description=details.description,
            size=one.size,
            is_public=details.repository.is_public,
            num_images=one.tag_count,
            num_download=one.pulls,
            created_at=shown(details.created_at),
            updated_at=shown(details.updated_at),
            domain_name=one.tenant_name,
            namespace_name=details.repository.namespace_name,
            status=is_valid,
        )


class RepositoryPage(Answers, frozen=True, kw_only=True):
    """A page of them. `nextMarker` 0: there are no more."""

    repos: list[RepositoryRow]
    nextMarker: int  # noqa: N815  (as it is read)

    @classmethod
    def of(cls, result: Rows[RepositorySummary], _asked: Asked) -> "RepositoryPage":
        """As they are."""
        rows = [RepositoryRow.of(one) for one in result.rows]
        return cls(repos=rows, nextMarker=_next(result.offset, len(rows), result.total))


def _next(offset: int, rows: int, total: int) -> int:
    """The marker behind a page; an empty one is the last, whatever is counted."""
    end = offset + rows
    return end if rows and end < total else 0


class ListSharedRepoDetails(Asks, frozen=True, kw_only=True):
    """List own repositories that are shared (`shared_by` is `self`), or those of others that are shared with this account."""

    shared_by: Literal["self", "thirdparty"]
    namespace: Text = ""
    name: Text = ""
    limit: Limit = _PAGE
    marker: Marker = 0
    status: bool | None = None

    def to_command(self, asked: Asked) -> BrowseShared:
        """The page behind the marker."""
        return BrowseShared(
            asked.instance.id,
            is_own=self.shared_by == "self",
            namespace=self.namespace,
            name=self.name,
            is_valid=self.status,
            sort="updated_at",
            descending=True,
            with_tags=False,
            window=Slice(self.marker, self.limit),
        )


class SharedPage(Answers, frozen=True, kw_only=True):
    """A page of them. `status`: whether the share is valid."""

    repos: list[RepositoryRow]
    nextMarker: int  # noqa: N815

    @classmethod
    def of(cls, result: Rows[SharedSummary], _asked: Asked) -> "SharedPage":
        """As they are."""
        rows = [RepositoryRow.of(one.summary, is_valid=one.is_valid) for one in result.rows]
        return cls(repos=rows, nextMarker=_next(result.offset, len(rows), result.total))


class ListRepositoryTag(OfRepository, frozen=True, kw_only=True):
    """List its tags, the last pushed first. `manifest` is empty unless `with_manifest` asks for it; large ones make a page shorter."""

    limit: Limit = _PAGE
    marker: Text = ""
    tag: Text = ""
    order_column: Text = ""
    order_type: Literal["asc", "desc"] | None = None
    with_manifest: bool = False

    def to_command(self, asked: Asked) -> ListTagRows:
        """The page behind the marker."""
        if self.marker and not (self.marker.isdecimal() and len(self.marker) <= 12):
            raise Refusal(_MARKER_WRONG, "marker: none that was given out")
        sort, descending = tags.sorting(self.order_column, self.order_type)
        return ListTagRows(
            self.place(asked),
            name=self.tag,
            sort=sort,
            descending=descending,
            with_payload=self.with_manifest,
            window=Slice(int(self.marker or 0), self.limit),
        )


class TagPage(Answers, frozen=True, kw_only=True):
    """A page of them."""

    tags: list[tags.ShownTag]
    nextMarker: str  # noqa: N815
    has_more: bool

    @classmethod
    def of(cls, result: TagsOf, asked: Asked) -> "TagPage":
        """As they are."""
        page = result.page
        end = page.offset + len(page.rows)
        has_more = bool(page.rows) and end < page.total
        return cls(
            tags=[tags.ShownTag.one(result, row, asked) for row in page.rows],
            nextMarker=str(end) if has_more else "",
            has_more=has_more,
        )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v3/manage/repos",
        Operation(
            "ListRepoDetails",
            ListRepoDetails,
            summarizing.count_repositories,
            RepositoryPage,
            is_documented=False,
        ),
        "swr:repo:listRepos",
    ),
    Endpoint(
        "GET",
        "/v3/manage/shared-repositories",
        Operation(
            "ListSharedRepoDetails",
            ListSharedRepoDetails,
            shares.browse_shared,
            SharedPage,
            is_documented=False,
        ),
        "swr:repo:listSharedRepos",
    ),
    Endpoint(
        "GET",
        "/v3/manage/namespaces/{namespace}/repos/{repository}/tags",
        Operation(
            "ListRepositoryTag",
            ListRepositoryTag,
            tag_listing.list_tag_rows,
            TagPage,
            is_documented=False,
        ),
        "swr:repo:listRepoTags",
        gives=tags.given,
    ),
)
