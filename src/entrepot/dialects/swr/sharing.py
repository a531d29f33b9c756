"""Sharing accounts: who else may pull from a repository, and until when. Their paths say `repositories`, all others `repos`."""

from typing import Final, Literal

from entrepot.capabilities.access import shares
from entrepot.capabilities.access.shares import (
    BrowseShared,
    NamedShare,
    SharedSummary,
    ShareShown,
    WriteShare,
)
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.context import Context
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import paging
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.repositories import RepositoryRow, sorting
from entrepot.dialects.swr.shapes import Answers, Asks, Nothing, OfRepository, Text, shown
from entrepot.dialects.swr.shapes import Rows as Ranged
from entrepot.model.access import Caller
from entrepot.model.errors import TextTooLong
from entrepot.model.shares import PermitInvalid, ReceiverInvalid, ShareTaken, ShareUnknown

MOST: Final = 100  # shares that a list tells
_SORTS: Final = {
    "updated_at": "updated_at",
    "updated_time": "updated_at",
    "name": "name",
    "tag_count": "tag_count",
    "namespace": "namespace",
    "domain_name": "tenant",
}
_CODES: Final = {
    ReceiverInvalid: "4001041",
    PermitInvalid: "4001066",
    ShareTaken: "4090089",
    ShareUnknown: "4040091",
    TextTooLong: "4131012",
}


class OfShared(OfRepository, frozen=True, kw_only=True):
    """A request about the shares of a repository."""

    def target(self, asked: Asked) -> Target:
        """In the shared instance."""
        place = self.place(asked)
        return Target(asked.instance.id, place.name.namespace, place.name.path)


class CreateRepoDomains(OfShared, frozen=True, kw_only=True):
    """Share it."""

    access_domain: Text
    permit: Text
    deadline: Text
    description: Text = ""

    def to_command(self, asked: Asked) -> WriteShare:
        """As it is said."""
        return WriteShare(
            self.target(asked), self.access_domain, self.permit, self.deadline, self.description
        )


class UpdateRepoDomains(CreateRepoDomains, frozen=True, kw_only=True):
    """Change a share. A description that is not given becomes empty."""


class OfShare(OfShared, frozen=True, kw_only=True):
    """A request about one share, by the receiving account's name."""

    access_domain: str

    def to_command(self, asked: Asked) -> NamedShare:
        """By names."""
        return NamedShare(self.target(asked), self.access_domain)


class DeleteRepoDomains(OfShare, frozen=True, kw_only=True):
    """End a share."""


class ShowAccessDomain(OfShare, frozen=True, kw_only=True):
    """Show a share, or say that there is none."""


class ListRepoDomains(OfShared, frozen=True, kw_only=True):
    """List a repository's shares, the last changed first."""

    def to_command(self, asked: Asked) -> Target:
        """Of the repository."""
        return self.target(asked)


class ListSharedReposDetails(Asks, frozen=True, kw_only=True):
    """List own repositories that are shared (`center` is `self`), or those of others that are shared with this account."""

    center: Literal["self", "thirdparty"]
    namespace: Text = ""
    name: Text = ""
    domain_name: Text = ""
    status: bool | None = None
    limit: Text | None = None
    offset: Text | None = None
    order_column: Text = ""
    order_type: Literal["asc", "desc"] | None = None

    def to_command(self, asked: Asked) -> BrowseShared:
        """Column and direction belong together: one alone is ignored."""
        column, descending = sorting(self.order_column, self.order_type, _SORTS)
        return BrowseShared(
            asked.instance.id,
            is_own=self.center == "self",
            namespace=self.namespace,
            name=self.name,
            owner=self.domain_name,
            is_valid=self.status,
            sort=column,
            descending=descending,
            window=paging.window(self.limit, self.offset, default=paging.MOST),
        )


# -- answers ----------------------------------------------------------------------------------------------------------


class Shared(Answers, frozen=True, kw_only=True):
    """A share. `status`: whether it has not ended."""

    namespace: str
    repository: str
    access_domain: str
    permit: str
    deadline: str
    description: str
    creator_id: str
    creator_name: str
    created: str
    updated: str
    status: bool

    @classmethod
    def of(cls, result: ShareShown, _asked: Asked) -> "Shared":
        """As it is."""
        share = result.share
        return cls(
            namespace=share.repository.namespace_name,
            repository=share.repository.path,
            access_domain=share.receiver_name,
            permit=share.permit,
            deadline=share.deadline,
            description=share.description,
            creator_id=share.creator_id,
            creator_name=share.creator_name,
            created=shown(share.created_at),
            updated=shown(share.updated_at),
            status=result.is_valid,
        )


class SharedOrNot(Answers, frozen=True, kw_only=True):
    """A share, or that there is none: then only the names of the path are told."""

    exist: bool
    namespace: str
    repository: str
    access_domain: str
    permit: str = ""
    deadline: str = ""
    description: str = ""
    creator_id: str = ""
    creator_name: str = ""
    created: str = ""
    updated: str = ""
    status: bool = False

    @classmethod
    def of(cls, result: "ShareShown | NamedShare", asked: Asked) -> "SharedOrNot":
        """What was asked for, where that is all there is."""
        if isinstance(result, NamedShare):
            return cls(
                exist=False,
                namespace=result.target.namespace,
                repository=result.target.path or "",
                access_domain=result.receiver,
            )
        one = Shared.of(result, asked)
        return cls(exist=True, **{name: getattr(one, name) for name in one.__struct_fields__})


class SharesOf(Ranged, frozen=True, kw_only=True):
    """The first of them."""

    is_ranged = False

    @classmethod
    def of(cls, result: list[ShareShown], asked: Asked) -> "SharesOf":
        """At most a hundred."""
        return cls(rows=[Shared.of(one, asked) for one in result[:MOST]])


class SharedRepositories(Ranged, frozen=True, kw_only=True):
    """A page of them."""

    @classmethod
    def of(cls, result: Rows[SharedSummary], asked: Asked) -> "SharedRepositories":
        """Each row tells the total."""
        rows = [
            RepositoryRow.of(one.summary, asked, total=result.total, is_valid=one.is_valid)
            for one in result.rows
        ]
        return cls(rows=rows, offset=result.offset, total=result.total)


async def _show(ctx: Context, caller: Caller, command: NamedShare) -> ShareShown | NamedShare:
    """The share; what was asked for where there is none, since that is no error here. Raises Denied, NamespaceUnknown, RepositoryUnknown."""
    try:
        return await shares.get_share(ctx, caller, command)
    except ShareUnknown:
        return command


_ALL: Final = "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains"
_ONE: Final = f"{_ALL}/{{access_domain}}"
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateRepoDomains",
            CreateRepoDomains,
            shares.create_share,
            Nothing,
            changes=True,
            codes=_CODES,
        ),
        "swr:repo:createRepoDomain",
        201,
    ),
    Endpoint(
        "GET",
        _ALL,
        Operation("ListRepoDomains", ListRepoDomains, shares.list_shares, SharesOf),
        "swr:repo:listRepoDomains",
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("ShowAccessDomain", ShowAccessDomain, _show, SharedOrNot),
        "swr:repo:getRepoDomain",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "UpdateRepoDomains",
            UpdateRepoDomains,
            shares.update_share,
            Nothing,
            changes=True,
            codes=_CODES,
        ),
        "swr:repo:updateRepoDomain",
        201,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteRepoDomains",
            DeleteRepoDomains,
            shares.delete_share,
            Nothing,
            changes=True,
            codes=_CODES,
        ),
        "swr:repo:deleteRepoDomain",
        204,
    ),
    Endpoint(
        "GET",
        "/v2/manage/shared-repositories",
        Operation(
            "ListSharedReposDetails",
            ListSharedReposDetails,
            shares.browse_shared,
            SharedRepositories,
        ),
        "swr:repo:listSharedRepos",
        filters=frozenset(
            {
                "center",
                "name",
                "namespace",
                "domain_name",
                "status",
                "limit",
                "offset",
                "order_column",
                "order_type",
            }
        ),
    ),
)
