"""Organizations: the namespaces of the region's shared instance."""

from typing import Final

from entrepot.capabilities.instances import namespace_summaries, namespaces
from entrepot.capabilities.instances.namespace_summaries import (
    NamespaceSummary,
    SummarizeNamespaces,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Asks, Nothing, OfOrganization, Text
from entrepot.model.errors import NameInvalid, NameTaken, NotEmpty

_KEYS: Final = frozenset({"namespace", "mode"})
_FILTER_WRONG: Final = "4001035"


class CreateNamespace(Asks, frozen=True, kw_only=True):
    """Make one; its creator manages it."""

    namespace: Text

    def to_command(self, asked: Asked) -> namespaces.CreateNamespace:
        """A private one: visibility is a repository's own here."""
        return namespaces.CreateNamespace(asked.instance.id, asked.tenant, self.namespace)


class ListNamespaces(Asks, frozen=True, kw_only=True):
    """List those that the caller may see. `mode`: `visible` for those too that are reached through a repository only."""

    namespace: Text = ""
    mode: Text = ""
    filter: Text = ""

    def to_command(self, asked: Asked) -> SummarizeNamespaces:
        """A name given plainly must be there; one in a filter need not."""
        if self.mode not in ("", "visible"):
            raise Refusal(_FILTER_WRONG, "filter: mode is visible or not there")
        return SummarizeNamespaces(
            asked.instance.id,
            asked.tenant,
            name=self.namespace,
            must_exist=bool(self.namespace) and not self.filter,
            reached=self.mode == "visible",
        )


class ShowNamespace(OfOrganization, frozen=True, kw_only=True):
    """Show one."""

    def to_command(self, asked: Asked) -> namespaces.NamedNamespace:
        """By name."""
        return namespaces.NamedNamespace(asked.instance.id, self.namespace)


class DeleteNamespaces(OfOrganization, frozen=True, kw_only=True):
    """Delete an empty one."""

    def to_command(self, asked: Asked) -> namespaces.NamedNamespace:
        """By name."""
        return namespaces.NamedNamespace(asked.instance.id, self.namespace)


class Organization(Answers, frozen=True, kw_only=True):
    """An organization. `auth`: the caller's level."""

    id: int
    name: str
    creator_name: str
    auth: int

    @classmethod
    def of(cls, result: NamespaceSummary, _asked: Asked) -> "Organization":
        """As it is."""
        return cls(
            id=result.number,
            name=result.namespace.name,
            creator_name=result.creator_name,
            auth=result.level.value,
        )


class Organizations(Answers, frozen=True, kw_only=True):
    """All of them."""

    namespaces: list[Organization]

    @classmethod
    def of(cls, result: list[NamespaceSummary], asked: Asked) -> "Organizations":
        """By name."""
        return cls(namespaces=[Organization.of(one, asked) for one in result])


_ALL: Final = "/v2/manage/namespaces"
_ONE: Final = f"{_ALL}/{{namespace}}"
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateNamespace",
            CreateNamespace,
            namespaces.create_namespace,
            Nothing,
            changes=True,
            codes={NameInvalid: "4001028", NameTaken: "4090060"},
        ),
        "swr:namespace:createNamespace",
        201,
    ),
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListNamespaces",
            ListNamespaces,
            namespace_summaries.summarize_namespaces,
            Organizations,
        ),
        "swr:namespace:listNamespaces",
        filters=_KEYS,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation(
            "ShowNamespace", ShowNamespace, namespace_summaries.summarize_namespace, Organization
        ),
        "swr:namespace:getNamespace",
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteNamespaces",
            DeleteNamespaces,
            namespaces.delete_namespace,
            Nothing,
            changes=True,
            codes={NotEmpty: "4060074"},
        ),
        "swr:namespace:deleteNamespace",
        204,
    ),
)
