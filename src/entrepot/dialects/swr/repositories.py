"""Repositories: made, changed, deleted, shown with what is counted about them."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from entrepot.capabilities.content import deleting, repositories, summarizing
from entrepot.capabilities.content.browsing import BrowseRepositories, Rows
from entrepot.capabilities.content.repositories import Described
from entrepot.capabilities.content.summarizing import Summarized
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import paging, shapes
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import (
    Answers,
    Asks,
    Nothing,
    OfOrganization,
    OfRepository,
    Text,
    shown,
)
from entrepot.model.content import RepositorySummary
from entrepot.model.errors import NameInvalid, NameTaken, NotEmpty, TextTooLong

Category = Literal[
    "app_server", "linux", "framework_app", "database", "lang", "other", "windows", "arm"
]
Long = Annotated[str, Meta(max_length=1 << 20)]  # how much is too much the use case says
OTHER: Final = "other"
_PAGE: Final = 100
_SORTS: Final = {
    "updated_time": "updated_at",
    "updated_at": "updated_at",
    "name": "name",
    "tag_count": "tag_count",
    "namespace": "namespace",
    "is_public": "is_public",
}
_COLUMN_WRONG: Final = "4001025"
_WRONG: Final = {"is_public": "4001009"}


class CreateRepo(OfOrganization, frozen=True, kw_only=True):
    """Make an empty one."""

    repository: Text
    is_public: bool
    category: Category = OTHER
    description: Long = ""

    def to_command(self, asked: Asked) -> Described:
        """Its visibility is its own."""
        said = {
            "is_public": self.is_public,
            "category": self.category,
            "description": self.description,
        }
        return Described(shapes.place(asked, self.namespace, self.repository), said)


class UpdateRepo(OfRepository, frozen=True, kw_only=True):
    """Change what is said about it. What is not given stays as it is."""

    is_public: bool
    category: Category | None = None
    description: Long | None = None

    def to_command(self, asked: Asked) -> Described:
        """Only what is given."""
        said: dict[str, Any] = {"is_public": self.is_public}
        if self.category is not None:
            said["category"] = self.category
        if self.description is not None:
            said["description"] = self.description
        return Described(self.place(asked), said)


class DeleteRepo(OfRepository, frozen=True, kw_only=True):
    """Delete one that has no tags."""

    def to_command(self, asked: Asked) -> deleting.DeleteRepository:
        """Only an empty one."""
        return deleting.DeleteRepository(self.place(asked), only_empty=True)


class ShowRepository(OfRepository, frozen=True, kw_only=True):
    """Show one."""

    def to_command(self, asked: Asked) -> Summarized:
        """By its address."""
        return Summarized(self.place(asked))


class ListReposDetails(Asks, frozen=True, kw_only=True):
    """List those that the caller may read, the last changed first."""

    namespace: Text = ""
    name: Text = ""
    category: Category | None = None
    is_public: bool | None = None
    limit: Text | None = None
    offset: Text | None = None
    order_column: Text = ""
    order_type: Literal["asc", "desc"] | None = None

    def to_command(self, asked: Asked) -> BrowseRepositories:
        """Column and direction belong together: one alone is ignored."""
        column, descending = sorting(self.order_column, self.order_type, _SORTS)
        return BrowseRepositories(
            asked.instance.id,
            asked.tenant,
            namespace=self.namespace,
            name=self.name,
            sort=column,
            descending=descending,
            category=self.category or "",
            is_public=self.is_public,
            window=paging.window(self.limit, self.offset, default=_PAGE),
        )


def sorting(column: str, direction: str | None, known: dict[str, str]) -> tuple[str, bool]:
    """Our column, and whether it descends. Raises Refusal for a column that is not known."""
    if column and column not in known:
        raise Refusal(_COLUMN_WRONG, f"order_column: expected one of {', '.join(known)}")
    if not column or direction is None:
        return "updated_at", True
    return known[column], direction == "desc"


class Repository(Answers, frozen=True, kw_only=True):
    """A repository."""

    id: int
    ns_id: int
    name: str
    category: str
    description: str
    creator_id: str
    creator_name: str
    size: int
    is_public: bool
    num_images: int
    num_download: int
    num_downloads: int
    url: str
    path: str
    internal_path: str
    created: str
    updated: str
    domain_id: str
    priority: int

    @classmethod
    def of(cls, result: RepositorySummary, asked: Asked) -> "Repository":
        """As it is."""
        details = result.details
        address = f"{asked.registry}/{details.repository.full_name}"
        return cls(
            id=details.repository.id,
            ns_id=result.namespace_number,
            name=details.repository.path,
            category=details.category or OTHER,
            description=details.description,
            creator_id=result.creator_public_id,
            creator_name=result.creator_name,
            size=result.size,
            is_public=details.repository.is_public,
            num_images=result.tag_count,
            num_download=result.pulls,
            num_downloads=result.pulls,
            url="",
            path=address,
            internal_path=address,
            created=shown(details.created_at),
            updated=shown(details.updated_at),
            domain_id=result.tenant_public_id,
            priority=0,
        )


class RepositoryRow(Answers, frozen=True, kw_only=True):
    """A repository in a list. `status`: of a share that makes it visible, whether it is valid; `total_range`: rows on all pages."""

    name: str
    category: str
    description: str
    size: int
    is_public: bool
    num_images: int
    num_download: int
    num_downloads: int
    created_at: str
    updated_at: str
    logo: str
    url: str
    path: str
    internal_path: str
    domain_name: str
    namespace: str
    tags: list[str]
    status: bool
    total_range: int

    @classmethod
    def of(
        cls, one: RepositorySummary, asked: Asked, *, total: int, is_valid: bool = False
    ) -> "RepositoryRow":
        """As it is."""
        details = one.details
        address = f"{asked.registry}/{details.repository.full_name}"
        return cls(
            name=details.repository.path,
            category=details.category or OTHER,
            description=details.description,
            size=one.size,
            is_public=details.repository.is_public,
            num_images=one.tag_count,
            num_download=one.pulls,
            num_downloads=one.pulls,
            created_at=shown(details.created_at),
            updated_at=shown(details.updated_at),
            logo="",
            url="",
            path=address,
            internal_path=address,
            domain_name=one.tenant_name,
            namespace=details.repository.namespace_name,
            tags=list(one.tags),
            status=is_valid,
            total_range=total,
        )


class Repositories(shapes.Rows, frozen=True, kw_only=True):
    """A page of them."""

    rows: Sequence[RepositoryRow]

    @classmethod
    def of(cls, result: Rows[RepositorySummary], asked: Asked) -> "Repositories":
        """Each row tells the total."""
        rows = [RepositoryRow.of(one, asked, total=result.total) for one in result.rows]
        return cls(rows=rows, offset=result.offset, total=result.total)


_IN: Final = "/v2/manage/namespaces/{namespace}/repos"
_ONE: Final = f"{_IN}/{{repository}}"
_NAMES: Final = {NameInvalid: "4001029", NameTaken: "4090006", TextTooLong: "4131012"}
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _IN,
        Operation(
            "CreateRepo",
            CreateRepo,
            repositories.create_repository,
            Nothing,
            changes=True,
            codes=_NAMES,
        ),
        "swr:repo:createRepo",
        201,
        wrong=_WRONG,
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "UpdateRepo",
            UpdateRepo,
            repositories.describe_repository,
            Nothing,
            changes=True,
            codes=_NAMES,
        ),
        "swr:repo:updateRepo",
        201,
        wrong=_WRONG,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteRepo",
            DeleteRepo,
            deleting.remove_repository,
            Nothing,
            changes=True,
            codes={NotEmpty: "4060012"},
        ),
        "swr:repo:deleteRepo",
        204,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("ShowRepository", ShowRepository, summarizing.summarize_repository, Repository),
        "swr:repo:getRepo",
    ),
    Endpoint(
        "GET",
        "/v2/manage/repos",
        Operation(
            "ListReposDetails", ListReposDetails, summarizing.summarize_repositories, Repositories
        ),
        "swr:repo:listRepos",
        filters=frozenset(
            {
                "namespace",
                "name",
                "category",
                "is_public",
                "limit",
                "offset",
                "order_column",
                "order_type",
            }
        ),
    ),
)
