"""The older paths of the same API, `/dockyard/v2/`, which no book has and other registries' replication still asks.

Callers log in with Basic there: `<project>@<access key>` and the password derived from the pair, or any other login. Only a pair of
keys or a user's password changes anything: tokens lie about in clients' configuration files, and push and pull.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from entrepot.capabilities.access.callers import CredentialKind, LoggedIn
from entrepot.capabilities.content import summarizing
from entrepot.capabilities.content.browsing import BrowseRepositories, Rows
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import namespace_summaries, namespaces
from entrepot.capabilities.instances.namespace_summaries import (
    NamespaceSummary,
    SummarizeNamespaces,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr import repositories, shapes
from entrepot.dialects.swr.endpoints import Endpoint, Paths
from entrepot.dialects.swr.organizations import CreateNamespace
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Asks, Nothing, Text
from entrepot.metadata.browsing import Slice
from entrepot.model.access import Caller
from entrepot.model.content import RepositorySummary
from entrepot.model.errors import Forbidden, NameInvalid, NameTaken
from entrepot.model.tenancy import Namespace

MOST: Final = 10_000  # repositories of an answer
_CENTER_WRONG: Final = "4001035"


class VisibleNamespaces(Asks, frozen=True, kw_only=True):
    """List the organizations that the caller may see."""

    def to_command(self, asked: Asked) -> SummarizeNamespaces:
        """Those too that are reached through a repository only."""
        return SummarizeNamespaces(asked.instance.id, asked.tenant, reached=True)


class FindNamespace(Asks, frozen=True, kw_only=True):
    """Show an organization, if it is there."""

    namespace: str

    def to_command(self, asked: Asked) -> SummarizeNamespaces:
        """By name."""
        return SummarizeNamespaces(
            asked.instance.id, asked.tenant, name=self.namespace, reached=True
        )


class Repositories(Asks, frozen=True, kw_only=True):
    """List the repositories of the caller's account that the caller may read, the last changed first, at most 10,000."""

    center: Text = "self"
    filter: Text = ""

    def to_command(self, asked: Asked) -> BrowseRepositories:
        """All at once: these paths know no pages."""
        if self.center != "self":
            raise Refusal(_CENTER_WRONG, "filter: only center::self is served")
        return BrowseRepositories(
            asked.instance.id,
            asked.tenant,
            sort="updated_at",
            descending=True,
            window=Slice(0, MOST),
        )


class Visible(Answers, frozen=True, kw_only=True):
    """An organization."""

    id: int
    name: str
    creator_name: str
    auth: int
    user_count: int
    image_count: int

    @classmethod
    def shown(cls, one: NamespaceSummary) -> "Visible":
        """The counts are nothing that anybody reads."""
        return cls(
            id=one.number,
            name=one.namespace.name,
            creator_name=one.creator_name,
            auth=one.level.value,
            user_count=0,
            image_count=0,
        )


class AllVisible(Answers, frozen=True, kw_only=True):
    """All of them."""

    namespaces: list[Visible]

    @classmethod
    def of(cls, result: list[NamespaceSummary], _asked: Asked) -> "AllVisible":
        """By name."""
        return cls(namespaces=[Visible.shown(one) for one in result])


class Found(Answers, frozen=True, kw_only=True):
    """An organization, or an empty document: who pushes asks this first and takes 404 for a failure."""

    whole: ClassVar[str] = "rows"
    rows: Visible | dict[str, str]

    @classmethod
    def of(cls, result: list[NamespaceSummary], _asked: Asked) -> "Found":
        """The one, if any."""
        return cls(rows=Visible.shown(result[0]) if result else {})

    def body(self) -> Visible | dict[str, str]:
        """It alone."""
        return self.rows


class AllRepositories(shapes.Rows, frozen=True, kw_only=True):
    """All of them."""

    is_ranged: ClassVar[bool] = False
    rows: Sequence[repositories.RepositoryRow]

    @classmethod
    def of(cls, result: Rows[RepositorySummary], asked: Asked) -> "AllRepositories":
        """As other lists show them."""
        rows = [
            repositories.RepositoryRow.of(one, asked, total=result.total) for one in result.rows
        ]
        return cls(rows=rows)


async def create_namespace(
    ctx: Context, caller: Caller, command: namespaces.CreateNamespace
) -> Namespace:
    """Raises as `namespaces.create_namespace`, and Forbidden for whoever logged in with a token."""
    _require_person(caller)
    return await namespaces.create_namespace(ctx, caller, command)


def _require_person(caller: Caller) -> None:
    known = caller.credential.kind if isinstance(caller, LoggedIn) else CredentialKind.NONE
    if known not in (CredentialKind.USER, CredentialKind.KEY):
        raise Forbidden("api", "changes with a token: log in with a password or a pair of keys")


_READ: Final = "swr:namespace:getNamespace"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/dockyard/v2/visible/namespaces",
        Operation(
            "VisibleNamespaces",
            VisibleNamespaces,
            namespace_summaries.summarize_namespaces,
            AllVisible,
            is_documented=False,
        ),
        "swr:namespace:listNamespaces",
    ),
    Endpoint(
        "GET",
        "/dockyard/v2/namespaces/{namespace}",
        Operation(
            "FindNamespace",
            FindNamespace,
            namespace_summaries.summarize_namespaces,
            Found,
            is_documented=False,
        ),
        _READ,
    ),
    Endpoint(
        "POST",
        "/dockyard/v2/namespaces",
        Operation(
            "CreateNamespace",
            CreateNamespace,
            create_namespace,
            Nothing,
            changes=True,
            is_documented=False,
            codes={NameInvalid: "4001028", NameTaken: "4090060"},
        ),
        "swr:namespace:createNamespace",
        201,
    ),
    Endpoint(
        "GET",
        "/dockyard/v2/repositories",
        Operation(
            "Repositories",
            Repositories,
            summarizing.summarize_repositories,
            AllRepositories,
            is_documented=False,
        ),
        "swr:repo:listRepos",
        filters=frozenset({"center"}),
    ),
)
PATHS: Final = Paths(ENDPOINTS)
