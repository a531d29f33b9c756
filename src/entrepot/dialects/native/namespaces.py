"""Namespaces: where repositories live. A push needs the namespace to be there."""

from typing import Final

from entrepot.capabilities.instances import namespaces
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfInstance,
    Paged,
    ahead,
    shown,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.tenancy import Namespace


class OfNamespace(OfInstance, frozen=True, kw_only=True):
    """A request about a namespace of the tenant in an instance, by name."""

    namespace: str

    def named(self, asked: Asked) -> namespaces.NamedNamespace:
        """The tenant's."""
        return namespaces.NamedNamespace(asked.instance.id, self.namespace, asked.tenant)


class ListNamespaces(OfInstance, frozen=True, kw_only=True):
    """List the tenant's namespaces in the instance that the caller may see, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> namespaces.ListNamespaces:
        """One more than is shown."""
        return namespaces.ListNamespaces(
            asked.instance.id, asked.tenant, self.after, self.limit + 1
        )


class CreateNamespace(OfInstance, frozen=True, kw_only=True):
    """Create a namespace. `public`: anybody may pull."""

    name: str
    public: bool = False

    def to_command(self, asked: Asked) -> namespaces.CreateNamespace:
        """Of the tenant."""
        return namespaces.CreateNamespace(
            asked.instance.id, asked.tenant, self.name, is_public=self.public
        )


class GetNamespace(OfNamespace, frozen=True, kw_only=True):
    """Show a namespace."""

    def to_command(self, asked: Asked) -> namespaces.NamedNamespace:
        """By name."""
        return self.named(asked)


class ModifyNamespace(OfNamespace, frozen=True, kw_only=True):
    """Make a namespace public or private."""

    public: bool

    def to_command(self, asked: Asked) -> namespaces.ModifyNamespace:
        """By name."""
        return namespaces.ModifyNamespace(self.named(asked), is_public=self.public)


class DeleteNamespace(OfNamespace, frozen=True, kw_only=True):
    """Delete a namespace, which must be empty."""

    def to_command(self, asked: Asked) -> namespaces.NamedNamespace:
        """By name."""
        return self.named(asked)


class NamespaceShown(Answers, frozen=True, kw_only=True):
    """A namespace."""

    name: str
    tenant: str
    public: bool
    created: Moment

    @classmethod
    def of(cls, result: Namespace, asked: Asked) -> "NamespaceShown":
        """As it is."""
        return cls(
            name=result.name,
            tenant=asked.tenant_name,
            public=result.is_public,
            created=shown(result.created_at),
        )


class NamespaceList(Answers, frozen=True, kw_only=True):
    """A page of namespaces."""

    items: list[NamespaceShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Namespace], asked: Asked) -> "NamespaceList":
        """By name."""
        return cls(items=[NamespaceShown.of(row, asked) for row in result.rows], next=result.next)


_ALL: Final = "/tenants/{tenant}/instances/{instance}/namespaces"
_ONE: Final = f"{_ALL}/{{namespace}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListNamespaces",
            ListNamespaces,
            ahead(namespaces.list_namespaces, lambda n: n.name),
            NamespaceList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateNamespace",
            CreateNamespace,
            namespaces.create_namespace,
            NamespaceShown,
            changes=True,
        ),
        201,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("GetNamespace", GetNamespace, namespaces.get_namespace, NamespaceShown),
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "ModifyNamespace",
            ModifyNamespace,
            namespaces.modify_namespace,
            NamespaceShown,
            changes=True,
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteNamespace", DeleteNamespace, namespaces.delete_namespace, Nothing, changes=True
        ),
        204,
    ),
)
